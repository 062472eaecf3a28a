{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'sessions': 'day', 'tenant_days': 'day'},
        'date': 'date',
    }}
) }}

with sessions as (

    select sessions.*
    from {{ ref('sessions') }} as sessions
    {{ only_affected('sessions', date='started_on') }}

),

visited as (

    select
        tenant_id,
        started_on as date,
        count(*) as sessions,
        count(distinct user_id) as users,
        {{ mean('duration_seconds') }} as avg_duration_seconds,
        {{ percentile(0.5, 'duration_seconds') }} as median_duration_seconds,
        {{ ratio('sum(events)', 'count(*)') }} as events_per_session,
        {{ ratio('count(*) filter (where events = 1)', 'count(*)') }} as bounce_rate,
        {{ ratio('count(*) filter (where converted)', 'count(*)') }} as conversion_rate
    from sessions
    group by tenant_id, started_on

),

final as (

    {{ on_each_day(
        'visited',
        counts=[
            'sessions', 'users',
        ],
        others=[
            'avg_duration_seconds', 'median_duration_seconds', 'events_per_session', 'bounce_rate', 'conversion_rate',
        ],
    ) }}

)

select * from final
