{{ config(
    unique_key=['tenant_id', 'user_id'],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'user_days': 'user', 'sessions': 'user', 'conversations': 'user', 'payments': 'user'},
    }}
) }}

with days as (

    select
        days.tenant_id,
        days.user_id,
        min(days.first_event_at) as first_seen_at,
        max(days.last_event_at) as last_seen_at,
        sum(days.events)::bigint as events
    from {{ ref('user_days') }} as days
    {{ only_affected('days') }}
    group by days.tenant_id, days.user_id

),

sessions as (

    select
        sessions.tenant_id,
        sessions.user_id,
        count(*) as sessions
    from {{ ref('sessions') }} as sessions
    {{ only_affected('sessions') }}
    group by sessions.tenant_id, sessions.user_id

),

conversations as (

    select
        conversations.tenant_id,
        conversations.user_id,
        count(*) as conversations
    from {{ ref('conversations') }} as conversations
    {{ only_affected('conversations') }}
    where conversations.user_id is not null
    group by conversations.tenant_id, conversations.user_id

),

payments as (

    select
        payments.tenant_id,
        payments.user_id,
        count(*) filter (where payments.kind = 'order') as orders,
        sum(payments.value) filter (where payments.kind = 'order') as revenue,
        sum(payments.value) filter (where payments.kind = 'refund') as refunds
    from {{ ref('payments') }} as payments
    {{ only_affected('payments') }}
    where payments.user_id is not null
    group by payments.tenant_id, payments.user_id

),

final as (

    select
        days.tenant_id,
        days.user_id,
        days.first_seen_at,
        days.last_seen_at,
        days.events,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(conversations.conversations, 0) as conversations,
        coalesce(payments.orders, 0) as orders,
        coalesce(payments.revenue, 0)::numeric(20, 4) as revenue,
        coalesce(payments.refunds, 0)::numeric(20, 4) as refunds,
        (coalesce(payments.revenue, 0) - coalesce(payments.refunds, 0))::numeric(20, 4) as lifetime_value_to_date,
        {{ familiarity('days.events') }} as segment
    from days
    left join sessions on days.tenant_id = sessions.tenant_id and days.user_id = sessions.user_id
    left join conversations
        on days.tenant_id = conversations.tenant_id and days.user_id = conversations.user_id
    left join payments on days.tenant_id = payments.tenant_id and days.user_id = payments.user_id

)

select * from final
