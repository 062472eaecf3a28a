{{ config(
    unique_key=['tenant_id', 'user_id', 'date'],
    indexes=[{'columns': ['tenant_id', 'date']}],
    meta={'rebuild': {
        'key': {'user_id': 'id', 'date': 'date'},
        'reads': {'stg_events': 'user', 'orders': 'buyer'},
        'publishes': {'user': {'id': 'user_id', 'date': 'date'}, 'day': {'date': 'date'}},
        'date': 'date',
    }}
) }}

with events as (

    select
        events.*,
        events.actor = 'customer' as is_customers,
        {{ is_customers_message('events') }} as is_customers_message,
        {{ is_customers_message('events') }} or {{ is_message_to_customer('events') }} as is_message
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='occurred_on') }}
    where events.user_id is not null

),

orders as (

    select
        orders.tenant_id,
        orders.completed_user_id as user_id,
        orders.completed_on as date,
        count(*) as orders,
        sum(orders.revenue)::numeric(20, 4) as revenue
    from {{ ref('orders') }} as orders
    {{ only_affected('orders', user_id='completed_user_id', date='completed_on') }}
    where orders.completed_user_id is not null
    group by orders.tenant_id, orders.completed_user_id, orders.completed_on

),

summed as (

    select
        tenant_id,
        user_id,
        occurred_on as date,
        min(occurred_at) filter (where is_customers) as first_event_at,
        max(occurred_at) filter (where is_customers) as last_event_at,
        count(*) filter (where is_customers) as events,
        count(distinct conversation_id) filter (where marks_conversation and is_customers) as conversations,
        count(*) filter (where is_customers_message) as messages_received,
        count(*) filter (where is_message) as messages,
        count(*) filter (where event_name like 'commerce.%' and is_customers) as commerce_events
    from events
    group by tenant_id, user_id, occurred_on
    having bool_or(is_customers)

),

final as (

    select
        summed.tenant_id,
        summed.user_id,
        summed.date,
        summed.first_event_at,
        summed.last_event_at,
        summed.events,
        summed.conversations,
        summed.messages_received,
        summed.messages,
        summed.commerce_events,
        coalesce(orders.orders, 0) as orders,
        coalesce(orders.revenue, 0)::numeric(20, 4) as revenue
    from summed
    left join orders
        on
            summed.tenant_id = orders.tenant_id
            and summed.user_id = orders.user_id
            and summed.date = orders.date

)

select * from final
