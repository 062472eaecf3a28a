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

with dates as (

    {{ dates_asked_for() }}

),

{{ users_of_trailing_days(ref('user_days')) }},

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
