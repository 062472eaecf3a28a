{{ config(
    unique_key=['tenant_id', 'date', 'currency'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'stg_events': 'day'},
        'date': 'date',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='occurred_on') }}
    where events.event_name = 'commerce.order_completed' and events.currency is not null

),

final as (

    select
        tenant_id,
        occurred_on as date,
        currency,
        count(*) as events,
        min(occurred_at) as first_at
    from events
    group by tenant_id, occurred_on, currency

)

select * from final
