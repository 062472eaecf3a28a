{{ config(
    unique_key=['tenant_id', 'date', 'tool_name'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'tool_calls': 'day'},
        'date': 'date',
    }}
) }}

with calls as (

    select calls.*
    from {{ ref('tool_calls') }} as calls
    {{ only_affected('calls', date='called_on') }}

),

final as (

    select
        tenant_id,
        called_on as date,
        tool_name,
        count(*) as calls,
        count(*) filter (where success) as succeeded,
        count(*) filter (where not success) as failed,
        count(*) filter (where success is null) as unfinished,
        {{ ratio('count(*) filter (where success)', 'count(success)') }} as success_rate,
        {{ mean('duration_ms') }} as avg_ms,
        {{ percentile(0.95, 'duration_ms') }} as p95_ms
    from calls
    group by tenant_id, called_on, tool_name

)

select * from final
