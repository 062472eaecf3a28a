{{ config(materialized='view') }}

-- A view, as refused lines are few, and replayed or deleted without a build.

with refused as (

    select * from {{ ref('stg_rejected_events') }}

),

final as (

    select
        tenant_id,
        received_on as date,
        reason,
        coalesce(event_name, '(unknown)') as event_name,
        count(*) as lines,
        count(*) filter (where not is_replayed) as open_lines,
        mode() within group (order by message) as example
    from refused
    group by tenant_id, received_on, reason, coalesce(event_name, '(unknown)')

)

select * from final
