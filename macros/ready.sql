{#- Before the run: say in a sentence what would otherwise be an error about a missing table in the middle of it. -#}
{% macro assert_ready() %}
    {% if execute and flags.WHICH in ('build', 'run', 'test', 'seed', 'snapshot') %}
        {% set found = run_query("select to_regclass('ops.watermarks') is not null").columns[0].values()[0] %}
        {% if not found %}
            {% do exceptions.raise_compiler_error(
                "The database " ~ target.dbname ~ " has no Parley tables yet: run `parley load FILE` or `parley doctor` first."
            ) %}
        {% endif %}
    {% endif %}
    select 1
{% endmacro %}
