{#- Before the run: say in a sentence what would otherwise be an error about a missing table in the middle of it. -#}
{% macro assert_ready() %}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'seed', 'snapshot') %}
        {% set found = run_query("select to_regclass('ops.input_validation') is not null").columns[0].values()[0] %}
        {% if not found %}
            {% do exceptions.raise_compiler_error(
                "The database " ~ target.dbname ~ " has no Parley tables yet: run `parley load FILE` or `parley doctor` first."
            ) %}
        {% endif %}
    {% endif %}
    {% if execute and flags.WHICH in ('build', 'run') %}
        {% set blocked = run_query(days_that_are_blocked()).columns[0].values() %}
        {% if blocked %}
            {% do exceptions.raise_compiler_error(
                "The input gate blocks " ~ blocked | join(', ') ~ ": `parley inputs list` says why, and what to do."
            ) %}
        {% endif %}
    {% endif %}
    select 1
{% endmacro %}

{#- Days that the build would take in though they were judged unfit, as `parley.quality_gate.validation.stopping` has them. -#}
{% macro days_that_are_blocked() %}
    select day::text
    from ops.input_validation
    where
        verdict = 'blocked' and released_at is null
        and batch_id > coalesce((select position from ops.watermarks where model = 'stg_events' and upstream = 'raw'), 0)
        {% if var('judged_to') is not none %}and batch_id <= {{ var('judged_to') }}{% endif %}
    order by day
{% endmacro %}
