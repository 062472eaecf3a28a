{{ config(
    unique_key=['tenant_id', 'session_id'],
    indexes=[
        {'columns': ['tenant_id', 'user_id', 'started_at']},
        {'columns': ['tenant_id', 'started_on']},
    ],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'range': 'started_at',
        'reads': {'stg_events': 'user'},
        'affected_by': 'affected_user_stretches',
        'publishes': {
            'user': {'id': 'user_id', 'date': 'started_on'},
            'day': {'date': 'started_on'},
        },
        'date': 'started_on',
        'until': local_date('{row}.ended_at', 'tenants.time_zone'),
    }}
) }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', started_at='occurred_at') }}
    where
        events.user_id is not null
        and events.actor = 'customer'
        {% if rebuilding() %}and events.occurred_on between affected.from_on and affected.to_on{% endif %}

),

with_previous as (

    select
        events.*,
        tenants.session_gap_seconds,
        lag(events.occurred_at) over (
            partition by events.tenant_id, events.user_id
            order by {{ event_order('events') }}
        ) as previous_at
    from events
    inner join tenants on events.tenant_id = tenants.tenant_id

),

numbered as (

    select
        *,
        count(*) filter (
            where previous_at is null or occurred_at > previous_at + session_gap_seconds * interval '1 second'
        ) over (
            partition by tenant_id, user_id
            order by {{ event_order() }}
        ) as session_number
    from with_previous

),

final as (

    select
        tenant_id,
        {{ first_known('event_id') }} as session_id,
        user_id,
        min(occurred_at) as started_at,
        min(occurred_on) as started_on,
        max(occurred_at) as ended_at,
        {{ seconds_between('min(occurred_at)', 'max(occurred_at)') }}::double precision as duration_seconds,
        count(*) as events,
        count(distinct conversation_id) filter (where marks_conversation) as conversations,
        {{ first_known('event_name') }} as entry_event,
        {{ last_known('event_name') }} as exit_event,
        bool_or(event_name in ('booking.confirmed', 'commerce.order_completed', 'cart.confirmed')) as converted
    from numbered
    group by tenant_id, user_id, session_number

)

select * from final
