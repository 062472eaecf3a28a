{#-
    Every event is in the facts that it belongs to: of what arrived in the last week, looked for in facts that have taken in
    all of staging, whether or not they changed since; one that was never built is left out. Beside it, what
    facts.unplaced_events has found. Events of frozen days are history, and not looked for. On the model that reconciles, so
    that what is missing is counted before a build fails for it.
-#}
{% test each_event_is_in_its_fact(model) %}
    with events as (
        select staged.*
        from {{ ref('stg_events') }} as staged
        where
            staged.received_on >= (select max(received_on) - 7 from {{ ref('stg_events') }})
            and {{ is_no_history('staged') }}
    )
    select unplaced.*
    from (
        {% set found = [] %}
        {% if is_built('unplaced_events') %}{% do found.append('select * from ' ~ ref('unplaced_events')) %}{% endif %}
        {% set facts = built_facts() %}
        {% if facts %}{% do found.append(unplaced_events('events', facts)) %}{% endif %}
        {{ found | join('\nunion\n') or 'select null as fact where false' }}
    ) as unplaced
    where not exists (
        select 1
        from ops.changes
        inner join ops.watermarks on watermarks.model = unplaced.fact and watermarks.upstream = changes.model
        where changes.model = 'stg_events' and changes.change_id > watermarks.position
    )
{% endtest %}

{#- The facts of events that exist. -#}
{% macro built_facts() %}
    {% set found = [] %}
    {% for fact in facts_of_events() if is_built(fact) %}{% do found.append(fact) %}{% endfor %}
    {% do return(found) %}
{% endmacro %}

{#- Whether a model's table exists; while the project is parsed, all do. -#}
{% macro is_built(name) %}
    {% do return(not execute or load_relation(ref(name)) is not none) %}
{% endmacro %}
