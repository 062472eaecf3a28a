{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {
            'user_days': 'day',
            'event_days': 'day',
            'sessions': 'day',
            'conversations': 'day',
            'tenant_days': 'day',
        },
        'affected_by': 'affected_trailing_month',
        'date': 'date',
    }}
) }}

-- the days that the affected dates look back on
with user_days as (

    select
        user_days.tenant_id,
        user_days.user_id,
        user_days.date,
        lead(user_days.date) over (
            partition by user_days.tenant_id, user_days.user_id
            order by user_days.date
        ) as next_date
    from {{ ref('user_days') }} as user_days
    {% if rebuilding() %}
        inner join (select distinct affected.tenant_id, affected.date - back.days as date from pg_temp.affected
            cross join generate_series(0, 29) as back (days)) as looked_back
            on user_days.tenant_id = looked_back.tenant_id and user_days.date = looked_back.date
    {% endif %}

),

-- A user counts as active of the last n days from an active day on until n days later or, so that nobody counts twice,
-- until the next active day: +1 and -1 whose running sum is the number of active users.
steps as (

    select
        user_days.tenant_id,
        step.date,
        step.dau,
        step.wau,
        step.mau
    from user_days
    cross join lateral (
        values
        (user_days.date, 1, 1, 1),
        (user_days.date + 1, -1, 0, 0),
        (least(user_days.next_date, user_days.date + 7), 0, -1, 0),
        (least(user_days.next_date, user_days.date + 30), 0, 0, -1)
    ) as step (date, dau, wau, mau)

),

per_date as (

    select
        tenant_id,
        date,
        sum(dau) as dau,
        sum(wau) as wau,
        sum(mau) as mau
    from (
        select
            tenant_id,
            date,
            dau,
            wau,
            mau
        from steps
        union all
        -- every date that is asked for has a row to carry the running sum
        select
            dates.tenant_id,
            dates.date,
            0,
            0,
            0
        from (
            {% if rebuilding() -%}
            select
                tenant_id,
                date
            from pg_temp.affected
            {%- else -%}
            select
                tenant_id,
                date
            from {{ ref('tenant_days') }}
            {%- endif %}
        ) as dates
    ) as all_steps
    group by tenant_id, date

),

running as (

    select
        tenant_id,
        date,
        (sum(dau) over dates)::bigint as dau,
        (sum(wau) over dates)::bigint as wau,
        (sum(mau) over dates)::bigint as mau
    from per_date
    window dates as (partition by tenant_id order by date)

),

active as (

    select running.*
    from running
    {{ only_affected('running') }}
    inner join {{ ref('tenant_days') }} as days on running.tenant_id = days.tenant_id and running.date = days.date

),

events as (

    select
        event_days.tenant_id,
        event_days.date,
        sum(event_days.events)::bigint as events
    from {{ ref('event_days') }} as event_days
    {{ only_affected('event_days') }}
    group by event_days.tenant_id, event_days.date

),

sessions as (

    select
        sessions.tenant_id,
        sessions.started_on as date,
        count(*) as sessions
    from {{ ref('sessions') }} as sessions
    {{ only_affected('sessions', date='started_on') }}
    group by sessions.tenant_id, sessions.started_on

),

conversations as (

    select
        conversations.tenant_id,
        conversations.started_on as date,
        count(*) as conversations
    from {{ ref('conversations') }} as conversations
    {{ only_affected('conversations', date='started_on') }}
    group by conversations.tenant_id, conversations.started_on

),

final as (

    select
        active.tenant_id,
        active.date,
        active.dau,
        active.wau,
        active.mau,
        {{ ratio('active.dau', 'active.mau') }} as stickiness,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(events.events, 0) as events,
        coalesce(conversations.conversations, 0) as conversations
    from active
    left join sessions on active.tenant_id = sessions.tenant_id and active.date = sessions.date
    left join events on active.tenant_id = events.tenant_id and active.date = events.date
    left join conversations on active.tenant_id = conversations.tenant_id and active.date = conversations.date

)

select * from final
