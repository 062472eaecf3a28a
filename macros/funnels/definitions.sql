{#- The models unroll as many steps and exclusions as the longest funnel has, so these are asked of the seeds first. -#}

{% macro most_funnel_steps() %}
    {% do return(seed_maximum(ref('funnel_steps'), 'step', 2)) %}
{% endmacro %}

{% macro most_funnel_exclusions() %}
    {% do return(seed_maximum(ref('funnel_exclusions'), 'exclusion', 0)) %}
{% endmacro %}

{% macro seed_maximum(seed, column, default) %}
    {% if not execute or load_relation(seed) is none %}{% do return(default) %}{% endif %}
    {% set found = run_query('select coalesce(max(' ~ column ~ '), ' ~ default ~ ') from ' ~ seed) %}
    {% do return(found.columns[0].values()[0] | int) %}
{% endmacro %}
