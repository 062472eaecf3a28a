{#- Who an event is of, and whether its traffic counts. docs/decisions/identity.md says why it is as it is. -#}

{#- Condition: a text is an id, and not what producers write who do not know one (`null`, which no seed can say, `undefined`, …). -#}
{% macro is_id(column) -%}
    {{ column }} is not null and btrim({{ column }}) <> '' and lower(btrim({{ column }})) <> 'null'
    and lower(btrim({{ column }})) not in (select lower(btrim(id)) from {{ ref('placeholder_ids') }} where id is not null)
{%- endmacro %}

{#-
    The user an event is of: its user_id; else the user that its visitor was told to be at the nearest event before, else
    the first one after; else the visitor, under a name that no user_id has. `rank` is the event's `event_rank`.
-#}
{% macro person_id(event, rank) -%}
    {%- set its_ties -%}
    {{ ref('stg_visitor_users') }} as tie
    where tie.tenant_id = {{ event }}.tenant_id and tie.anonymous_id = {{ event }}.anonymous_id
    {%- endset -%}
    {%- set no_number = "'infinity'::numeric" -%}
    case
        when {{ is_id(event ~ '.user_id') }} then {{ event }}.user_id
        when {{ is_id(event ~ '.anonymous_id') }}
            then coalesce(
                (
                    select tie.user_id
                    from {{ its_ties }}
                        and (tie.occurred_at, coalesce(tie.sequence, {{ no_number }}), tie.event_rank, tie.event_id)
                        <= (
                            {{ event }}.occurred_at,
                            coalesce({{ event }}.sequence, {{ no_number }}),
                            {{ rank }},
                            {{ event }}.event_id
                        )
                    order by {{ event_order('tie', descending=true) }}
                    limit 1
                ),
                (
                    select tie.user_id
                    from {{ its_ties }}
                    order by {{ event_order('tie') }}
                    limit 1
                ),
                'visitor:' || {{ event }}.anonymous_id
            )
    end
{%- endmacro %}

{#- Why an event of a person is left out of the tables, as the seed excluded_traffic says; null where it counts. -#}
{% macro exclusion(event, person) -%}
    (
        select min(rules.reason)
        from {{ ref('excluded_traffic') }} as rules
        where
            rules.tenant_id in ('*', {{ event }}.tenant_id)
            and case
                when rules.field = 'user_id' then {{ person }}
                when rules.field = 'anonymous_id' then {{ event }}.anonymous_id
                when rules.field = 'site_id' then {{ event }}.site_id
                when rules.field = 'source' then {{ event }}.source
                when rules.field = 'event_name' then {{ event }}.event_name
                else {{ event }}.context #>> (string_to_array(rules.field, '.'))[2:]
            end ilike rules.pattern
    )
{%- endmacro %}

{#-
    Events as raw.events has them, with what the tenant, the tracking plan and the ties of visitors say of each: where
    staging begins. Events that are excluded are still among them.
-#}
{% macro known_events(events) %}
    select
        events.*,
        tenants.time_zone,
        {{ local_date('events.occurred_at', 'tenants.time_zone') }} as occurred_on,
        {{ local_date('events.received_at', 'tenants.time_zone') }} as received_on,
        coalesce(own_type.is_conversational, shared_type.is_conversational, false) as is_conversational,
        {{ event_rank('own_type', 'shared_type') }} as event_rank,
        {{ event_actor('events', 'own_type', 'shared_type') }} as doer,
        {{ person_id('events', event_rank('own_type', 'shared_type')) }} as person_id
    from {{ events }} as events
    inner join {{ ref('stg_tenants') }} as tenants on events.tenant_id = tenants.tenant_id
    left join {{ ref('stg_event_types') }} as own_type
        on events.tenant_id = own_type.tenant_id and events.event_name = own_type.event_name
    left join {{ ref('stg_event_types') }} as shared_type
        on shared_type.tenant_id = '*' and events.event_name = shared_type.event_name
{%- endmacro %}
