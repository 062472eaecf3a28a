{{ config(
    materialized='incremental',
    incremental_strategy='rebuild',
    unique_key=['tenant_id', 'segment_id', 'date'],
    indexes=[{'columns': ['tenant_id', 'segment_id', 'date'], 'unique': true}],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'user_days': 'day', 'sessions': 'day', 'conversations': 'day'},
        'touch': 'touch_segment_dates',
        'crosses': 'crosses_segment_dates',
        'definitions': ['segment_definitions'],
    }}
) }}

with tenants as (

    select
        *,
        {{ local_date(as_of(), 'time_zone') }} as today
    from {{ ref('stg_tenants') }}

),

dates as (

    select
        tenants.tenant_id,
        tenants.today - days.back as date,
        -- the end of the day; today is looked at as of the build
        least({{ local_midnight('tenants.today - days.back + 1', 'tenants.time_zone') }}, {{ as_of() }}) as as_of
    from tenants
    cross join generate_series(0, {{ var('segment_history_days') - 1 }}) as days (back)

),

asked as (

    select dates.*
    from dates
    {{ only_touched('dates') }}

),

-- everything that had happened by the end of each date
happened as (

    select
        asked.tenant_id,
        asked.date,
        asked.as_of,
        days.user_id,
        days.first_event_at,
        days.last_event_at,
        days.events,
        0 as sessions,
        0 as conversations,
        days.orders,
        days.revenue,
        days.refunds
    from asked
    inner join {{ ref('user_days') }} as days on asked.tenant_id = days.tenant_id and asked.date >= days.date
    union all
    select
        asked.tenant_id,
        asked.date,
        asked.as_of,
        sessions.user_id,
        null,
        null,
        0,
        1,
        0,
        0,
        0,
        0
    from asked
    inner join {{ ref('sessions') }} as sessions
        on asked.tenant_id = sessions.tenant_id and asked.date >= sessions.started_on
    union all
    select
        asked.tenant_id,
        asked.date,
        asked.as_of,
        conversations.user_id,
        null,
        null,
        0,
        0,
        1,
        0,
        0,
        0
    from asked
    inner join {{ ref('conversations') }} as conversations
        on asked.tenant_id = conversations.tenant_id and asked.date >= conversations.started_on
    where conversations.user_id is not null

),

seen as (

    select
        tenant_id,
        date,
        as_of,
        user_id,
        min(first_event_at) as first_seen_at,
        max(last_event_at) as last_seen_at,
        sum(events) as events,
        sum(sessions) as sessions,
        sum(conversations) as conversations,
        sum(orders) as orders,
        sum(revenue) as revenue,
        sum(refunds) as refunds,
        sum(revenue) - sum(refunds) as lifetime_value_to_date,
        case
            when sum(events) <= 2 then 'new'
            when sum(events) <= 10 then 'engaged'
            else 'returning'
        end as segment
    from happened
    group by tenant_id, date, as_of, user_id
    having sum(events) > 0

),

members as (

    {{ members_of_segments(['tenant_id', 'date', 'user_id']) }}

),

final as (

    select
        tenant_id,
        segment_id,
        date,
        count(*) as customers
    from members
    group by tenant_id, segment_id, date

)

select * from final
