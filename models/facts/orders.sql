{{ config(
    unique_key=['tenant_id', 'order_id'],
    indexes=[
        {'columns': ['tenant_id', 'completed_on']},
        {'columns': ['tenant_id', 'refunded_on']},
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'completed_user_id', 'completed_on']},
    ],
    meta={'rebuild': {
        'key': {'order_id': 'id'},
        'reads': {'stg_events': 'order'},
        'publishes': {
            'thread': {'id': 'thread_id'},
            'buyer': {'id': 'completed_user_id', 'date': 'completed_on'},
            'completed': {'date': 'completed_on'},
            'refunded': {'date': 'refunded_on'},
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

ranked as (

    -- an order sent again under a new event id is still one order: its first completion counts
    select
        *,
        event_name = 'commerce.order_completed'
        and row_number() over (
            partition by tenant_id, order_id, event_name
            order by {{ event_order() }}
        ) = 1 as is_completion,
        event_name = 'commerce.order_refunded' as is_refund
    from events

),

final as (

    select
        tenant_id,
        order_id,
        {{ first_known('user_id') }} as user_id,
        {{ first_known('conversation_id') }} as conversation_id,
        {{ first_known('channel') }} as channel,
        min(occurred_at) filter (where is_completion) as ordered_at,
        min(occurred_on) as ordered_on,
        sum(revenue) filter (where is_completion) as revenue,
        max(currency) filter (where is_completion) as currency,
        coalesce(sum(revenue) filter (where is_refund), 0)::numeric(20, 4) as refunded,
        min(occurred_at) filter (where is_refund) as refunded_at,
        min(occurred_on) filter (where is_refund) as refunded_on,

        -- the completing event, which the order counts with in conversations and user days
        max(thread_id) filter (where is_completion) as thread_id,
        max(user_id) filter (where is_completion) as completed_user_id,
        max(occurred_on) filter (where is_completion) as completed_on
    from ranked
    group by tenant_id, order_id

)

select * from final
