{#- Before the run: say in a sentence what would otherwise be an error about a missing table in the middle of it. -#}
{% macro assert_ready() %}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'seed', 'snapshot') %}
        {% set found = run_query("select to_regprocedure('ops.owe_readers(text)') is not null").columns[0].values()[0] %}
        {% if not found %}
            {% do exceptions.raise_compiler_error(
                "The database " ~ target.dbname ~ " has not all of Parley's tables yet: run `parley migrate` first."
            ) %}
        {% endif %}
    {% endif %}
    {% if execute and flags.WHICH in ('build', 'run') and var('validated_to') is none %}{# `parley build` has seen to it #}
        {% set blocked = run_query(days_newly_blocked()).columns[0].values() %}
        {% if blocked %}
            {% do exceptions.raise_compiler_error(
                "The input gate blocks " ~ blocked | join(', ') ~ ", which only `parley build` can leave out: run that. "
                ~ "`parley inputs list` says why."
            ) %}
        {% endif %}
    {% endif %}
    select 1
{% endmacro %}

{#- Blocked days that dbt by itself would take in: of no tenant, or not yet noted in ops.blocked_inputs by `parley build`. -#}
{% macro days_newly_blocked() %}
    select distinct days.day::text as day
    from ops.input_validation as days
    left join ops.blocked_inputs as known on days.tenant_id = known.tenant_id and days.day = known.day
    where days.result = 'blocked' and days.released_at is null and known.day is null
    order by day
{% endmacro %}
