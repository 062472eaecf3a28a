{{ config(
    unique_key=['tenant_id', 'event_name', 'date'],
    indexes=[{'columns': ['tenant_id', 'date']}],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'stg_events': 'day'},
        'publishes': {'type_day': {'id': 'event_name', 'date': 'date'}},
        'date': 'date',
    }}
) }}

with events as (

    select
        events.tenant_id,
        events.event_name,
        events.user_id,
        events.occurred_on,
        events.received_on,
        events.duration_ms,
        events.revenue,
        events.sent_ids ? 'conversation_id' as has_conversation,
        events.sent_ids ? 'session_id' as has_session,
        extract(hour from events.occurred_at at time zone tenants.time_zone) + 0.5 as hour
    from {{ ref('stg_events') }} as events
    inner join {{ ref('stg_tenants') }} as tenants on events.tenant_id = tenants.tenant_id
    {{ only_affected('events', date='occurred_on') }}

),

-- each event counts for its type and for all of the tenant's
counted as (

    select
        events.tenant_id,
        events.occurred_on as date,
        named.event_name,
        count(*) as events,
        count(distinct events.user_id) as users,
        count(*) filter (where events.received_on > events.occurred_on) as late_events,
        count(*) filter (where events.user_id is null) as without_user,
        count(*) filter (where not events.has_conversation) as without_conversation,
        count(*) filter (where not events.has_session) as without_session,
        24 - count(distinct events.hour) as silent_hours,
        {{ percentile(0.5, 'events.duration_ms') }} as median_duration_ms,
        {{ percentile(0.5, 'events.revenue') }} as median_revenue
    from events
    cross join lateral (values (events.event_name), ('(all)')) as named (event_name)
    group by events.tenant_id, events.occurred_on, named.event_name

),

-- the hands of a clock of 24 hours, added up: exact decimals, so that the order of adding does not matter
hands as (

    select
        hours.tenant_id,
        hours.date,
        named.event_name,
        sum(hours.events * sind(hours.hour * 15)::numeric)::double precision as sine,
        sum(hours.events * cosd(hours.hour * 15)::numeric)::double precision as cosine
    from (
        select
            tenant_id,
            occurred_on as date,
            event_name,
            hour,
            count(*) as events
        from events
        group by tenant_id, occurred_on, event_name, hour
    ) as hours
    cross join lateral (values (hours.event_name), ('(all)')) as named (event_name)
    group by hours.tenant_id, hours.date, named.event_name

),

final as (

    select
        counted.*,
        {{ clock_hour('atan2d(hands.sine, hands.cosine) / 15') }} as mean_hour
    from counted
    inner join hands
        on
            counted.tenant_id = hands.tenant_id
            and counted.date = hands.date
            and counted.event_name = hands.event_name

)

select * from final
