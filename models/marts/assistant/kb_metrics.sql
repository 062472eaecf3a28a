{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'kb_searches': 'day', 'tenant_days': 'day'},
        'date': 'date',
    }}
) }}

with searches as (

    select searches.*
    from {{ ref('kb_searches') }} as searches
    {{ only_affected('searches', date='searched_on') }}

),

searched as (

    select
        tenant_id,
        searched_on as date,
        count(*) as searches,
        count(*) filter (where results_count > 0) as searches_with_results,
        {{ ratio('count(*) filter (where results_count > 0)', 'count(*)') }} as hit_rate,
        count(*) filter (where was_used) as used_results,
        {{ percentile(0.95, 'duration_ms') }} as search_latency_p95_ms,
        {{ mean('top_score') }} as avg_relevance_score
    from searches
    group by tenant_id, searched_on

),

final as (

    {{ on_each_day(
        'searched',
        counts=[
            'searches', 'searches_with_results', 'used_results',
        ],
        others=[
            'hit_rate', 'search_latency_p95_ms', 'avg_relevance_score',
        ],
    ) }}

)

select * from final
