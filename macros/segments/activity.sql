{#-
    What users did: a row for each of their days, sessions, conversations, orders and refunds, with what it adds to the sums
    that segments ask for.
-#}
{% macro user_activity() %}
    select
        tenant_id,
        user_id,
        date,
        first_event_at,
        last_event_at,
        events,
        0 as sessions,
        0 as conversations,
        0 as orders,
        0 as revenue,
        0 as refunds
    from {{ ref('user_days') }}
    union all
    select
        tenant_id,
        user_id,
        started_on,
        null,
        null,
        0,
        1,
        0,
        0,
        0,
        0
    from {{ ref('sessions') }}
    union all
    select
        tenant_id,
        user_id,
        started_on,
        null,
        null,
        0,
        0,
        1,
        0,
        0,
        0
    from {{ ref('conversations') }}
    where user_id is not null
    union all
    select
        tenant_id,
        user_id,
        paid_on,
        null,
        null,
        0,
        0,
        0,
        case when kind = 'order' then 1 else 0 end,
        case when kind = 'order' then coalesce(value, 0) else 0 end,
        case when kind = 'refund' then coalesce(value, 0) else 0 end
    from {{ ref('payments') }}
    where user_id is not null
{% endmacro %}
