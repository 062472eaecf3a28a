{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'event_days': 'day', 'orders': ['completed', 'refunded'], 'user_days': 'day'},
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

completed as (

    select
        orders.tenant_id,
        orders.completed_on as date,
        count(*) as orders,
        sum(orders.revenue)::numeric(20, 4) as revenue
    from {{ ref('orders') }} as orders
    {{ only_affected('orders', date='completed_on') }}
    where orders.completed_on is not null
    group by orders.tenant_id, orders.completed_on

),

refunded as (

    select
        orders.tenant_id,
        orders.refunded_on as date,
        sum(orders.refunded)::numeric(20, 4) as refunds
    from {{ ref('orders') }} as orders
    {{ only_affected('orders', date='refunded_on') }}
    where orders.refunded_on is not null
    group by orders.tenant_id, orders.refunded_on

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

final as (

    select
        events.tenant_id,
        events.date,
        coalesce(events.views, 0)::bigint as views,
        coalesce(events.add_to_carts, 0)::bigint as add_to_carts,
        coalesce(events.checkouts, 0)::bigint as checkouts,
        coalesce(completed.orders, 0) as orders,
        coalesce(completed.revenue, 0)::numeric(20, 4) as revenue,
        coalesce(refunded.refunds, 0)::numeric(20, 4) as refunds,
        coalesce(shoppers.shoppers, 0) as shoppers,
        coalesce(shoppers.buyers, 0) as buyers,
        {{ ratio('shoppers.buyers', 'shoppers.shoppers') }} as conversion_rate,
        coalesce(events.suggested, 0)::bigint as suggested,
        coalesce(events.suggestions_accepted, 0)::bigint as suggestions_accepted,
        coalesce(events.services_added, 0)::bigint as services_added,
        coalesce(events.carts_confirmed, 0)::bigint as carts_confirmed
    from events
    left join completed on events.tenant_id = completed.tenant_id and events.date = completed.date
    left join refunded on events.tenant_id = refunded.tenant_id and events.date = refunded.date
    left join shoppers on events.tenant_id = shoppers.tenant_id and events.date = shoppers.date

)

select * from final
