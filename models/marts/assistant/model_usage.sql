{{ config(
    unique_key=['tenant_id', 'date', 'model'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'model_calls': 'day'},
        'date': 'date',
    }}
) }}

with calls as (

    select calls.*
    from {{ ref('model_calls') }} as calls
    {{ only_affected('calls', date='called_on') }}

),

final as (

    select
        tenant_id,
        called_on as date,
        model,
        count(*) as calls,
        count(*) filter (where is_error) as errors,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(value)::numeric(28, 10) as cost,
        count(*) filter (where is_other_currency) as other_currency_calls,
        {{ percentile(0.5, 'duration_ms') }} as p50_ms,
        {{ percentile(0.95, 'duration_ms') }} as p95_ms
    from calls
    group by tenant_id, called_on, model

)

select * from final
