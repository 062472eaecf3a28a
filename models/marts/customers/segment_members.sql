{{ config(
    materialized='table',
    indexes=[{'columns': ['tenant_id', 'segment_id', 'user_id'], 'unique': true}],
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
