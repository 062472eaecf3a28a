{{ config(
    unique_key=['tenant_id', 'hour', 'model', 'channel'],
    indexes=[{'columns': ['tenant_id', 'date']}],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'responses': 'day'},
        'publishes': {'day': {'date': 'date'}},
        'date': 'date',
    }}
) }}

with responses as (

    select responses.*
    from {{ ref('responses') }} as responses
    {{ only_affected('responses', date='responded_on') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

final as (

    select
        responses.tenant_id,
        -- an hour of the tenant's own clock, so that it never lies in two local days
        date_trunc('hour', responses.responded_at, tenants.time_zone) as hour,
        responses.model,
        responses.channel,
        responses.responded_on as date,
        count(*) as responses,
        {{ mean('responses.duration_ms') }} as avg_ms,
        {{ percentile(0.5, 'responses.duration_ms') }} as p50_ms,
        {{ percentile(0.95, 'responses.duration_ms') }} as p95_ms,
        {{ percentile(0.99, 'responses.duration_ms') }} as p99_ms,
        count(*) filter (where responses.duration_ms > tenants.sla_ms) as sla_breaches
    from responses
    inner join tenants on responses.tenant_id = tenants.tenant_id
    group by
        responses.tenant_id,
        date_trunc('hour', responses.responded_at, tenants.time_zone),
        responses.model,
        responses.channel,
        responses.responded_on

)

select * from final
