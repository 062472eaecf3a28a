{{ config(
    unique_key=['tenant_id', 'call_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'called_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
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

final as (

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
        upper(case when calls.cost is not null then calls.currency else prices.currency end) as currency
    from calls
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

)

select * from final
