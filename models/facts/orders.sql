{{ config(
    unique_key=['tenant_id', 'order_id'],
    indexes=[
        {'columns': ['tenant_id', 'completed_on']},
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'completed_user_id', 'completed_on']},
    ],
    meta={'rebuild': {
        'key': {'order_id': 'id'},
        'reads': {'stg_events': 'order', 'payments': 'order'},
        'publishes': {
            'thread': {'id': 'thread_id'},
            'buyer': {'id': 'completed_user_id', 'date': 'completed_on'},
            'completed': {'date': 'completed_on'},
        },
        'date': 'ordered_on',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where
        events.order_id is not null
        and events.event_name in ('commerce.order_completed', 'commerce.order_refunded')

),

people as (

    select
        tenant_id,
        order_id,
        {{ first_known('user_id') }} as user_id,
        {{ first_known('conversation_id') }} as conversation_id,
        {{ first_known('channel') }} as channel,
        min(occurred_on) as ordered_on
    from events
    group by tenant_id, order_id

),

payments as (

    select
        payments.*,
        payments.kind = 'order' as is_completion
    from {{ ref('payments') }} as payments
    {{ only_affected('payments') }}

),

paid as (

    select
        tenant_id,
        order_id,
        min(paid_at) filter (where is_completion) as ordered_at,
        sum(value) filter (where is_completion) as revenue,
        sum(amount) filter (where is_completion) as amount,
        max(currency) filter (where is_completion) as currency,
        coalesce(bool_or(is_other_currency) filter (where is_completion), false) as is_other_currency,
        coalesce(sum(value) filter (where not is_completion), 0)::numeric(20, 4) as refunded,
        min(paid_at) filter (where not is_completion) as refunded_at,
        min(paid_on) filter (where not is_completion) as refunded_on,

        -- the completing event, which the order counts with in conversations and user days
        max(thread_id) filter (where is_completion) as thread_id,
        max(user_id) filter (where is_completion) as completed_user_id,
        max(paid_on) filter (where is_completion) as completed_on
    from payments
    group by tenant_id, order_id

),

final as (

    select
        people.tenant_id,
        people.order_id,
        people.user_id,
        people.conversation_id,
        people.channel,
        paid.ordered_at,
        people.ordered_on,
        paid.revenue,
        paid.amount,
        paid.currency,
        paid.is_other_currency,
        paid.refunded,
        paid.refunded_at,
        paid.refunded_on,
        paid.thread_id,
        paid.completed_user_id,
        paid.completed_on
    from people
    inner join paid on people.tenant_id = paid.tenant_id and people.order_id = paid.order_id

)

select * from final
