{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {
            'event_days': 'day',
            'payments': 'day',
            'user_days': 'day',
            'tenant_days': 'day',
        },
        'date': 'date',
    }}
) }}

with events as (

    select
        event_days.tenant_id,
        event_days.date,
        sum(event_days.events) filter (where event_days.event_name = 'commerce.view') as views,
        sum(event_days.events) filter (where event_days.event_name = 'commerce.add_to_cart') as add_to_carts,
        sum(event_days.events) filter (where event_days.event_name = 'commerce.checkout') as checkouts,
        sum(event_days.events) filter (where event_days.event_name = 'service.suggested') as suggested,
        sum(event_days.events) filter (where event_days.event_name = 'ai.suggestion_accepted') as suggestions_accepted,
        sum(event_days.events) filter (where event_days.event_name = 'service.added') as services_added,
        sum(event_days.events) filter (where event_days.event_name = 'cart.confirmed') as carts_confirmed
    from {{ ref('event_days') }} as event_days
    {{ only_affected('event_days') }}
    where
        event_days.event_name like 'commerce.%'
        or event_days.event_name in (
            'service.suggested', 'ai.suggestion_accepted', 'service.added', 'cart.confirmed'
        )
    group by event_days.tenant_id, event_days.date

),

paid as (

    select
        payments.tenant_id,
        payments.paid_on as date,
        count(*) filter (where payments.kind = 'order') as orders,
        sum(payments.value) filter (where payments.kind = 'order') as revenue,
        sum(payments.value) filter (where payments.kind = 'refund') as refunds,
        count(*) filter (where payments.kind = 'order' and payments.is_other_currency) as other_currency_orders,
        count(*) filter (where payments.kind = 'refund' and payments.is_other_currency) as other_currency_refunds
    from {{ ref('payments') }} as payments
    {{ only_affected('payments', date='paid_on') }}
    group by payments.tenant_id, payments.paid_on

),

shoppers as (

    select
        user_days.tenant_id,
        user_days.date,
        count(*) as shoppers,
        count(*) filter (where user_days.orders > 0) as buyers
    from {{ ref('user_days') }} as user_days
    {{ only_affected('user_days') }}
    where user_days.commerce_events > 0
    group by user_days.tenant_id, user_days.date

),

sold as (

    select
        events.*,
        paid.orders,
        paid.revenue,
        paid.refunds,
        paid.other_currency_orders,
        paid.other_currency_refunds,
        shoppers.shoppers,
        shoppers.buyers,
        {{ ratio('shoppers.buyers', 'shoppers.shoppers') }} as conversion_rate
    from events
    left join paid on events.tenant_id = paid.tenant_id and events.date = paid.date
    left join shoppers on events.tenant_id = shoppers.tenant_id and events.date = shoppers.date

),

final as (

    {{ on_each_day(
        'sold',
        counts=[
            'views', 'add_to_carts', 'checkouts', 'orders', 'other_currency_orders', 'other_currency_refunds',
            'shoppers', 'buyers', 'suggested', 'suggestions_accepted', 'services_added', 'carts_confirmed',
        ],
        amounts=['revenue', 'refunds'],
        others=['conversion_rate'],
    ) }}

)

select * from final
