{{ config(
    unique_key=['tenant_id', 'call_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'called_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'definitions': ['tenant_currencies'],
        'publishes': {'day': {'date': 'called_on'}},
        'date': 'called_on',
    }}
) }}

with calls as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where events.event_name = 'ai.response'

),

costed as (

    select
        calls.tenant_id,
        calls.event_id as call_id,
        calls.thread_id,
        calls.conversation_id,
        calls.user_id,
        calls.channel,
        calls.model,
        calls.occurred_at as called_at,
        calls.occurred_on as called_on,
        calls.duration_ms,
        coalesce(calls.is_error, calls.error_class is not null) as is_error,
        calls.error_class,
        calls.input_tokens,
        calls.output_tokens,
        coalesce(
            calls.cost,
            case
                when coalesce(calls.input_tokens, calls.output_tokens) is not null
                    then (
                        coalesce(calls.input_tokens, 0) * prices.input_price
                        + coalesce(calls.output_tokens, 0) * prices.output_price
                    ) / 1000000
            end
        )::numeric(28, 10) as cost,
        coalesce(
            case when calls.cost is not null then calls.currency else nullif(upper(btrim(prices.currency)), '') end,
            own.currency
        ) as paid_currency,
        own.currency as own_currency
    from calls
    inner join {{ ref('tenant_currencies') }} as own on calls.tenant_id = own.tenant_id
    left join lateral (
        select price_list.*
        from {{ ref('model_prices') }} as price_list
        where
            price_list.tenant_id in ('*', calls.tenant_id)
            and price_list.model = calls.model
            and price_list.valid_from <= calls.occurred_on
        order by price_list.tenant_id = '*', price_list.valid_from desc
        limit 1
    ) as prices on true

),

final as (

    select
        costed.tenant_id,
        costed.call_id,
        costed.thread_id,
        costed.conversation_id,
        costed.user_id,
        costed.channel,
        costed.model,
        costed.called_at,
        costed.called_on,
        costed.duration_ms,
        costed.is_error,
        costed.error_class,
        costed.input_tokens,
        costed.output_tokens,
        costed.cost,
        case when costed.cost is not null then costed.paid_currency end as currency,
        costed.cost is not null
        and costed.paid_currency <> costed.own_currency
        and rates.rate is null as is_other_currency,
        {{ in_own_currency(
            'costed.cost', 'costed.paid_currency', 'costed.own_currency', 'rates.rate', 'numeric(28, 10)'
        ) }} as value
    from costed
    left join {{ exchange_rate('costed.paid_currency', 'costed.own_currency', 'costed.called_on') }} as rates on true

)

select * from final
