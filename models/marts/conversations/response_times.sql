{{ config(
    unique_key=['tenant_id', 'hour', 'model', 'channel', 'actor'],
    indexes=[{'columns': ['tenant_id', 'date']}],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'responses': 'day', 'turns': 'day'},
        'date': 'date',
    }}
) }}

with answered as (

    select responses.*
    from {{ ref('responses') }} as responses
    {{ only_affected('responses', date='responded_on') }}

),

-- who has waited longer than promised and has no answer counts where the question was asked
overdue as (

    select turns.*
    from {{ ref('turns') }} as turns
    {{ only_affected('turns', date='asked_on') }}
    where turns.is_breach and turns.status <> 'answered'

),

turns as (

    select
        tenant_id,
        model,
        channel,
        actor,
        responded_at as counted_at,
        responded_on as date,
        duration_ms,
        is_breach
    from answered
    union all
    select
        tenant_id,
        model,
        channel,
        'nobody' as actor,
        asked_at as counted_at,
        asked_on as date,
        null::double precision as duration_ms,
        is_breach
    from overdue

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

final as (

    select
        turns.tenant_id,
        -- an hour of the tenant's own clock, so that it never lies in two local days
        date_trunc('hour', turns.counted_at, tenants.time_zone) as hour,
        turns.model,
        turns.channel,
        turns.actor,
        turns.date,
        count(*) as turns,
        count(turns.duration_ms) as responses,
        {{ mean('turns.duration_ms') }} as avg_ms,
        {{ percentile(0.5, 'turns.duration_ms') }} as p50_ms,
        {{ percentile(0.95, 'turns.duration_ms') }} as p95_ms,
        {{ percentile(0.99, 'turns.duration_ms') }} as p99_ms,
        count(*) filter (where turns.is_breach) as sla_breaches
    from turns
    inner join tenants on turns.tenant_id = tenants.tenant_id
    group by
        turns.tenant_id,
        date_trunc('hour', turns.counted_at, tenants.time_zone),
        turns.model,
        turns.channel,
        turns.actor,
        turns.date

)

select * from final
