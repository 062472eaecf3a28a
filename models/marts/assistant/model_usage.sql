{{ config(
    unique_key=['tenant_id', 'date', 'model'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'model_calls': 'day'},
        'date': 'date',
    }}
) }}

with calls as (

    select
        calls.*,
        calls.currency <> coalesce(tenants.currency, 'USD') as is_other_currency
    from {{ ref('model_calls') }} as calls
    {{ only_affected('calls', date='called_on') }}
    inner join {{ ref('stg_tenants') }} as tenants on calls.tenant_id = tenants.tenant_id

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
        sum(cost) filter (where is_other_currency is not true)::numeric(28, 10) as cost,
        {{ percentile(0.5, 'duration_ms') }} as p50_ms,
        {{ percentile(0.95, 'duration_ms') }} as p95_ms
    from calls
    group by tenant_id, called_on, model

)

select * from final
