{{ config(
    unique_key=['tenant_id', 'segment_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'user_days': 'day', 'sessions': 'day', 'conversations': 'day', 'payments': 'day'},
        'affected_by': 'affected_segment_dates',
        'time_triggered': 'time_triggered_segment_dates',
        'vars': ['segment_history_days'],
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
    {{ only_affected('dates') }}

),

-- by user and day; all before the first date that is asked for is as one day
happened as (

    select
        days.tenant_id,
        days.user_id,
        greatest(days.date, first_ones.date) as date,
        min(days.first_event_at) as first_event_at,
        max(days.last_event_at) as last_event_at,
        sum(days.events) as events,
        sum(days.sessions) as sessions,
        sum(days.conversations) as conversations,
        sum(days.orders) as orders,
        sum(days.revenue) as revenue,
        sum(days.refunds) as refunds
    from (
        {{ user_activity() }}
    ) as days
    inner join (select tenant_id, min(date) as date from asked group by tenant_id) as first_ones
        on days.tenant_id = first_ones.tenant_id
    group by days.tenant_id, days.user_id, greatest(days.date, first_ones.date)

),

-- all that a user had done by the end of a day, which holds until the day before the next
so_far as (

    select
        tenant_id,
        user_id,
        date,
        lead(date) over days as next_date,
        min(first_event_at) over days as first_seen_at,
        max(last_event_at) over days as last_seen_at,
        sum(events) over days as events,
        sum(sessions) over days as sessions,
        sum(conversations) over days as conversations,
        sum(orders) over days as orders,
        sum(revenue) over days as revenue,
        sum(refunds) over days as refunds
    from happened
    window days as (partition by tenant_id, user_id order by date)

),

seen as (

    select
        so_far.tenant_id,
        asked.date,
        asked.as_of,
        so_far.user_id,
        so_far.first_seen_at,
        so_far.last_seen_at,
        so_far.events,
        so_far.sessions,
        so_far.conversations,
        so_far.orders,
        so_far.revenue,
        so_far.refunds,
        so_far.revenue - so_far.refunds as lifetime_value_to_date,
        {{ familiarity('so_far.events') }} as segment
    from asked
    inner join so_far
        on
            asked.tenant_id = so_far.tenant_id
            and asked.date >= so_far.date
            and asked.date < coalesce(so_far.next_date, 'infinity')
    where so_far.events > 0

),

final as (

    {{ sizes_of_segments(['tenant_id', 'date']) }}

)

select
    tenant_id,
    segment_id,
    date,
    customers
from final
