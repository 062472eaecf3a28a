{{ config(
    unique_key=['tenant_id', 'funnel_id', 'path'],
    meta={'rebuild': {
        'key': {'funnel_id': 'id'},
        'reads': {'funnel_journeys': 'funnel'},
    }}
) }}

with journeys as (

    select journeys.*
    from {{ ref('funnel_journeys') }} as journeys
    {{ only_affected('journeys') }}
    where journeys.is_furthest

),

counted as (

    select
        tenant_id,
        funnel_id,
        path,
        is_converted,
        count(*) as units,
        sum(count(*)) over (partition by tenant_id, funnel_id) as all_units,
        row_number() over (
            partition by tenant_id, funnel_id
            order by count(*) desc, path
        ) as rank
    from journeys
    group by tenant_id, funnel_id, path, is_converted

),

final as (

    select
        tenant_id,
        funnel_id,
        path,
        rank,
        is_converted,
        units,
        {{ ratio('units', 'all_units') }} as share
    from counted
    where rank <= 100

)

select * from final
