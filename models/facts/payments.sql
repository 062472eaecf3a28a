{{ config(
    unique_key=['tenant_id', 'payment_id'],
    indexes=[
        {'columns': ['tenant_id', 'order_id']},
        {'columns': ['tenant_id', 'paid_on']},
        {'columns': ['tenant_id', 'user_id', 'paid_on']},
    ],
    meta={'rebuild': {
        'key': {'order_id': 'id'},
        'reads': {'stg_events': 'order'},
        'definitions': ['tenant_currencies'],
        'publishes': {
            'order': {'id': 'order_id'},
            'user': {'id': 'user_id', 'date': 'paid_on'},
            'day': {'date': 'paid_on'},
        },
        'date': 'paid_on',
    }}
) }}

with events as (

    select
        events.*,
        events.event_name = 'commerce.order_completed' as is_completion
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where
        events.order_id is not null
        and events.event_name in ('commerce.order_completed', 'commerce.order_refunded')

),

ranked as (

    select
        *,
        row_number() over (
            partition by tenant_id, order_id, event_name
            order by {{ event_order() }}
        ) as nth
    from events

),

-- an order sent again under a new event id is still one order: its first completion counts; each refund does
counted as (

    select
        *,
        max(currency) filter (where is_completion) over of_order as order_currency,
        max(user_id) filter (where is_completion) over of_order as buyer_id
    from ranked
    where not is_completion or nth = 1
    window of_order as (partition by tenant_id, order_id)

),

priced as (

    select
        counted.*,
        own.currency as own_currency,
        -- a refund that states none is in its order's
        coalesce(counted.currency, counted.order_currency, own.currency) as paid_currency
    from counted
    inner join {{ ref('tenant_currencies') }} as own on counted.tenant_id = own.tenant_id

),

final as (

    select
        priced.tenant_id,
        priced.event_id as payment_id,
        priced.order_id,
        case when priced.is_completion then 'order' else 'refund' end as kind,
        case
            when priced.is_completion then priced.user_id
            else coalesce(priced.buyer_id, priced.user_id)
        end as user_id,
        priced.thread_id,
        priced.channel,
        priced.occurred_at as paid_at,
        priced.occurred_on as paid_on,
        priced.revenue as amount,
        priced.paid_currency as currency,
        priced.paid_currency <> priced.own_currency and rates.rate is null as is_other_currency,
        {{ in_own_currency('priced.revenue', 'priced.paid_currency', 'priced.own_currency', 'rates.rate') }} as value
    from priced
    left join {{ exchange_rate('priced.paid_currency', 'priced.own_currency', 'priced.occurred_on') }} as rates on true

)

select * from final
