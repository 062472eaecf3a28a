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
        select * from {{ ref('unplaced_events') }}
        {% set facts = built_facts() %}
        {% if facts %}union {{ unplaced_events('events', facts) }}{% endif %}
    ) as unplaced
    where not exists (
        select 1
        from ops.changes
        inner join ops.watermarks on watermarks.model = unplaced.fact and watermarks.upstream = changes.model
        where changes.model = 'stg_events' and changes.change_id > watermarks.position
    )
{% endtest %}

{#- The facts of events that exist; while the project is parsed, all do. -#}
{% macro built_facts() %}
    {% set found = [] %}
    {% for fact in facts_of_events() if not execute or load_relation(ref(fact)) is not none %}{% do found.append(fact) %}{% endfor %}
    {% do return(found) %}
{% endmacro %}
