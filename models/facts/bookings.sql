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
        'definitions': ['tenant_currencies'],
        'publishes': {
            'held': {'date': 'held_on'},
            'requested': {'date': 'requested_on'},
            'confirmed': {'date': 'confirmed_on'},
        },
        'date': 'booked_on',
    }}
) }}

with events as (

    select
        events.tenant_id,
        events.booking_id,
        events.event_id,
        events.event_name,
        events.occurred_at,
        events.occurred_on,
        events.sequence,
        events.event_rank,
        events.user_id,
        events.conversation_id,
        events.services_count,
        events.estimated_total,
        events.currency
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where
        events.booking_id is not null
        and events.event_name in ('booking.slot_hold', 'booking.requested', 'booking.confirmed')

),

reached as (

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
        {{ first_known('services_count', "event_name = 'booking.requested'") }} as services_count
    from events
    group by tenant_id, booking_id

),

-- the first request that states a total, in the currency that it states
estimates as (

    select distinct on (events.tenant_id, events.booking_id)
        events.tenant_id,
        events.booking_id,
        events.occurred_on,
        events.estimated_total,
        own.currency as own_currency,
        coalesce(events.currency, own.currency) as currency
    from events
    inner join {{ ref('tenant_currencies') }} as own on events.tenant_id = own.tenant_id
    where events.event_name = 'booking.requested' and events.estimated_total is not null
    order by events.tenant_id, events.booking_id, {{ event_order('events') }}

),

final as (

    select
        reached.*,
        estimates.estimated_total,
        estimates.currency,
        coalesce(estimates.currency <> estimates.own_currency and rates.rate is null, false) as is_other_currency,
        {{ in_own_currency('estimates.estimated_total', 'estimates.currency', 'estimates.own_currency', 'rates.rate') }}
            as estimated_value
    from reached
    left join estimates on reached.tenant_id = estimates.tenant_id and reached.booking_id = estimates.booking_id
    left join {{ exchange_rate('estimates.currency', 'estimates.own_currency', 'estimates.occurred_on') }} as rates
        on true

)

select * from final
