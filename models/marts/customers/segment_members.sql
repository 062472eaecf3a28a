{{ config(
    materialized='table',
    unique_key=['tenant_id', 'segment_id', 'user_id'],
) }}

-- Who is in a segment changes with the clock for every customer, so all are looked at in each build.

with seen as (

    select
        *,
        {{ as_of() }} as as_of
    from {{ ref('customers') }}

),

final as (

    {{ members_of_segments(['tenant_id', 'user_id']) }}

)

select
    tenant_id,
    segment_id,
    user_id
from final
