{{ config(
    unique_key=['tenant_id', 'anonymous_id', 'event_id'],
    indexes=[{'columns': ['tenant_id', 'anonymous_id', 'occurred_at']}],
    meta={'rebuild': {
        'key': {'anonymous_id': 'id'},
        'reads': {'raw': 'batch', 'stg_blocked_days': 'tenant_day'},
        'affected_by': 'affected_visitors',
        'definitions': ['stg_event_types'],
        'publishes': {'visitor': {'id': 'anonymous_id'}},
        'date': 'occurred_on',
        'until': '{row}.occurred_on',
    }}
) }}

with source as (

    {% if rebuilding() %}
    select events.*
    from {{ source('raw', 'events') }} as events
    {{ only_affected('events') }}
    where events.batch_id <= (select position from pg_temp.taken where upstream = 'raw')
    {% else %}
    select events.* from {{ new_or_all_events() }} as events
    {% endif %}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

event_types as (

    select * from {{ ref('stg_event_types') }}

),

said as (

    select
        source.tenant_id,
        source.anonymous_id,
        source.event_id,
        source.user_id,
        source.occurred_at,
        {{ local_date('source.occurred_at', 'tenants.time_zone') }} as occurred_on,
        source.sequence,
        {{ event_rank('own_type', 'shared_type') }} as event_rank
    from source
    inner join tenants on source.tenant_id = tenants.tenant_id
    left join event_types as own_type
        on source.tenant_id = own_type.tenant_id and source.event_name = own_type.event_name
    left join event_types as shared_type
        on shared_type.tenant_id = '*' and source.event_name = shared_type.event_name
    where
        {{ ties_a_visitor('source') }}
        and {{ is_not_blocked('source') }}

),

ties as (

    select * from said
    {%- if rebuilding() %}
    where not {{ is_frozen(rebuild_spec(), 'said') }}
    union all
    -- what frozen history said goes on to hold
    select known.*
    from {{ this }} as known
    {{ only_affected('known') }}
    where {{ is_frozen(rebuild_spec(), 'known') }}
    {%- endif %}

),

compared as (

    select
        *,
        lag(user_id) over (
            partition by tenant_id, anonymous_id
            order by {{ event_order() }}
        ) as previous_user_id
    from ties

),

final as (

    select
        tenant_id,
        anonymous_id,
        event_id,
        user_id,
        occurred_at,
        occurred_on,
        sequence,
        event_rank
    from compared
    where previous_user_id is distinct from user_id

)

select * from final
