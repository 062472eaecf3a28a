{#-
    No event is missing from a fact that it belongs to, by what facts.unplaced_events has found in this build and in earlier
    ones. On the model that reconciles, so that what is missing is counted before a build fails for it.
-#}
{% test no_event_is_unplaced(model) %}
    select unplaced.*
    from {{ ref('unplaced_events') }} as unplaced
    where {{ has_taken_in_staging('unplaced.fact') }}
{% endtest %}

{#-
    Every event is in the facts that it belongs to, whether or not they changed since: of what arrived in the last week,
    looked for in facts that have taken in all of staging; one that was never built is left out. It reads a week of events,
    so that it is due once a day. Events of frozen days are history, and not looked for.
-#}
{% test each_event_is_in_its_fact(model) %}
    {{ config(meta={'due': 'daily'}) }}
    {% set facts = built_facts() %}
    with events as (
        select {{ columns_to_place('staged') }}
        from {{ ref('stg_events') }} as staged
        where
            staged.received_on >= (select max(received_on) - 7 from {{ ref('stg_events') }})
            and {{ is_no_history('staged') }}
    )
    select unplaced.*
    from ({{ unplaced_events('events', facts) if facts else 'select null as fact where false' }}) as unplaced
    where {{ has_taken_in_staging('unplaced.fact') }}
{% endtest %}

{#- Condition: no change of staging is left that the fact has not taken in. -#}
{% macro has_taken_in_staging(fact) -%}
    not exists (
        select 1
        from ops.changes
        inner join ops.watermarks on watermarks.model = {{ fact }} and watermarks.upstream = changes.model
        where changes.model = 'stg_events' and changes.change_id > watermarks.position
    )
{%- endmacro %}

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
