{{ config(
    unique_key=['tenant_id', 'date', 'event_name', 'channel', 'received_on'],
    indexes=[{'columns': ['tenant_id', 'received_on']}],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'stg_events': 'day'},
        'publishes': {'day': {'date': 'date'}},
        'date': 'date',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='occurred_on') }}

),

final as (

    select
        tenant_id,
        occurred_on as date,
        event_name,
        channel,
        received_on,
        count(*) as events
    from events
    group by tenant_id, occurred_on, event_name, channel, received_on

)

select * from final
