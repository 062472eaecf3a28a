{{ config(materialized='view') }}

with settings as (

    select * from {{ ref('tenants') }}

),

seen as (

    select distinct tenant_id
    from {{ source('raw', 'load_batches') }}
    where tenant_id <> '(unknown)'

),

admitted as (

    select
        tenant_id,
        coalesce(settings.name, tenant_id) as name,
        settings.tenant_id is not null as is_configured,
        coalesce(settings.time_zone, 'UTC') as time_zone,
        lower(coalesce(settings.week_start, 'monday')) as week_start,
        coalesce(settings.session_gap_seconds, settings.session_gap_minutes * 60::bigint, 1800) as session_gap_seconds,
        coalesce(settings.abandon_after_hours, 24) as abandon_after_hours,
        coalesce(settings.sla_ms, 3000) as sla_ms,
        upper(settings.currency) as currency
    from settings
    full outer join seen using (tenant_id)
    -- the demo's tenants come with its events
    where settings.state is distinct from 'demo' or seen.tenant_id is not null

),

final as (

    select
        admitted.*,
        coalesce(own_ratings.good_rating, shared_ratings.good_rating) as good_rating,
        -- what rows were built under: a change of it rebuilds the tenant
        md5(concat_ws(
            '|',
            admitted.time_zone,
            admitted.week_start,
            admitted.session_gap_seconds,
            admitted.abandon_after_hours,
            admitted.sla_ms,
            coalesce(admitted.currency, ''),
            coalesce(own_ratings.good_rating, shared_ratings.good_rating)
        )) as fingerprint
    from admitted
    left join {{ ref('rating_settings') }} as shared_ratings on shared_ratings.tenant_id = '*'
    left join {{ ref('rating_settings') }} as own_ratings on admitted.tenant_id = own_ratings.tenant_id

)

select * from final
