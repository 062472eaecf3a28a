{#-
    `affected_by` of staging.stg_visitor_users: the visitors of new events that say who a visitor is, but for those events
    that say what is known. A user who is signed in says it with every event, and costs a look at the index.
-#}
{% macro affected_visitors(spec) %}
    select distinct
        events.tenant_id,
        events.anonymous_id
    from {{ source('raw', 'events') }} as events
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = 'raw'
    inner join pg_temp.taken on taken.upstream = watermarks.upstream
    where events.batch_id > watermarks.position and events.batch_id <= taken.position
        and {{ ties_a_visitor('events') }}
        and events.user_id is distinct from (
            -- of two in one instant it is not asked which comes first
            select case when known.occurred_at < events.occurred_at then known.user_id end
            from {{ this }} as known
            where
                known.tenant_id = events.tenant_id
                and known.anonymous_id = events.anonymous_id
                and known.occurred_at <= events.occurred_at
            order by known.occurred_at desc
            limit 1
        )
    union
    select blocked_or_released.tenant_id, blocked_or_released.anonymous_id
    from ({{ events_of_days_blocked_or_released() }}) as blocked_or_released
    where {{ ties_a_visitor('blocked_or_released') }}
    {% for condition in reread_conditions(spec, local_date('occurred_at', 'tenants.time_zone'), 'occurred_at') %}
    union
    select
        events.tenant_id,
        events.anonymous_id
    from {{ source('raw', 'events') }} as events
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where {{ condition }}
        and events.batch_id <= (select position from pg_temp.taken where upstream = 'raw')
        and {{ ties_a_visitor('events') }}
    {% endfor %}
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#- Condition: an event of raw.events says which user a visitor is. -#}
{% macro ties_a_visitor(event) -%}
    {{ event }}.anonymous_id is not null and {{ is_id(event ~ '.user_id') }} and {{ is_id(event ~ '.anonymous_id') }}
{%- endmacro %}
