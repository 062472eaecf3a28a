{{ config(materialized='view') }}

with settings as (

    select * from {{ ref('tenants') }}

),

seen as (

    select distinct tenant_id
    from {{ source('raw', 'load_batches') }}
    where tenant_id <> '(unknown)'

),

typed_events as (

    select
        tenant_id,
        string_agg(concat_ws(' ', event_name, is_conversational, actor, rank), ',' order by event_name) as event_names
    from {{ source('raw', 'event_types') }}
    where is_conversational or actor <> 'customer' or rank <> 'customer'
    group by tenant_id

),

admitted as (

    select
        tenant_id,
        coalesce(settings.name, tenant_id) as name,
        settings.tenant_id is not null as is_configured,
        coalesce(settings.time_zone, 'UTC') as time_zone,
        lower(coalesce(settings.week_start, 'monday')) as week_start,
        coalesce(settings.session_gap_minutes, 30) as session_gap_minutes,
        coalesce(settings.abandon_after_hours, 24) as abandon_after_hours,
        coalesce(settings.sla_ms, 3000) as sla_ms,
        upper(settings.currency) as currency
    from settings
    full outer join seen using (tenant_id)

),

final as (

    select
        admitted.*,
        -- what rows were built under: a change of it rebuilds the tenant
        md5(concat_ws(
            '|',
            admitted.time_zone,
            admitted.week_start,
            admitted.session_gap_minutes,
            admitted.abandon_after_hours,
            admitted.sla_ms,
            coalesce(admitted.currency, ''),
            shared_types.event_names,
            own_types.event_names
        )) as fingerprint
    from admitted
    left join typed_events as shared_types on shared_types.tenant_id = '*'
    left join typed_events as own_types on admitted.tenant_id = own_types.tenant_id

)

select * from final
