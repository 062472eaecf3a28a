{{ config(
    unique_key=['tenant_id', 'user_id', 'date', 'cohort_id'],
    meta={'rebuild': {
        'key': {'user_id': 'id', 'date': 'date'},
        'reads': {'stg_events': 'user', 'user_days': 'user'},
        'publishes': {'user': {'id': 'user_id'}},
        'date': 'date',
    }}
) }}

with definitions as (

    select * from {{ ref('cohort_definitions') }}

),

user_days as (

    select user_days.*
    from {{ ref('user_days') }} as user_days
    {{ only_affected('user_days') }}

),

-- the events that a definition names; definitions of any event need none
named_events as (

    select
        events.tenant_id,
        events.user_id,
        events.occurred_on as date,
        array_agg(distinct events.event_name) as event_names
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='occurred_on') }}
    where
        events.user_id is not null
        and events.actor = 'customer'
        and events.event_name in (
            select cohort_event from definitions where cohort_event is not null
            union
            select returning_event from definitions where returning_event is not null
        )
    group by events.tenant_id, events.user_id, events.occurred_on

),

final as (

    select
        user_days.tenant_id,
        definitions.cohort_id,
        user_days.user_id,
        user_days.date,
        definitions.cohort_event is null
        or definitions.cohort_event = any(coalesce(named_events.event_names, '{}')) as enters,
        definitions.returning_event is null
        or definitions.returning_event = any(coalesce(named_events.event_names, '{}')) as returns,
        user_days.revenue
    from user_days
    inner join definitions on definitions.tenant_id in ('*', user_days.tenant_id)
    left join named_events
        on
            user_days.tenant_id = named_events.tenant_id
            and user_days.user_id = named_events.user_id
            and user_days.date = named_events.date

)

select * from final
where enters or returns or revenue <> 0
