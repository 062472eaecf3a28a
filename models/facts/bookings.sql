{{ config(
    unique_key=['tenant_id', 'booking_id'],
    indexes=[
        {'columns': ['tenant_id', 'held_on']},
        {'columns': ['tenant_id', 'requested_on']},
        {'columns': ['tenant_id', 'confirmed_on']},
    ],
    meta={'rebuild': {
        'key': {'booking_id': 'id'},
        'reads': {'stg_events': 'booking'},
        'publishes': {
            'held': {'date': 'held_on'},
            'requested': {'date': 'requested_on'},
            'confirmed': {'date': 'confirmed_on'},
        },
        'date': 'booked_on',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where
        events.booking_id is not null
        and events.event_name in ('booking.slot_hold', 'booking.requested', 'booking.confirmed')

),

final as (

    select
        tenant_id,
        booking_id,
        {{ first_known('user_id') }} as user_id,
        {{ first_known('conversation_id') }} as conversation_id,
        min(occurred_on) as booked_on,
        min(occurred_at) filter (where event_name = 'booking.slot_hold') as held_at,
        min(occurred_on) filter (where event_name = 'booking.slot_hold') as held_on,
        min(occurred_at) filter (where event_name = 'booking.requested') as requested_at,
        min(occurred_on) filter (where event_name = 'booking.requested') as requested_on,
        min(occurred_at) filter (where event_name = 'booking.confirmed') as confirmed_at,
        min(occurred_on) filter (where event_name = 'booking.confirmed') as confirmed_on,
        {{ first_known('services_count', "event_name = 'booking.requested'") }} as services_count,
        {{ first_known('estimated_total', "event_name = 'booking.requested'") }} as estimated_total
    from events
    group by tenant_id, booking_id

)

select * from final
