{{ config(
    unique_key=['tenant_id', 'event_name', 'date', 'field', 'json_type'],
    indexes=[{'columns': ['tenant_id', 'date']}],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'stg_events': 'day'},
        'publishes': {'type_day': {'id': 'event_name', 'date': 'date'}},
        'date': 'date',
    }}
) }}

-- few shapes stand for many events
with shapes as (

    select
        events.tenant_id,
        events.occurred_on as date,
        events.event_name,
        events.shape,
        count(*) as events
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='occurred_on') }}
    group by events.tenant_id, events.occurred_on, events.event_name, events.shape

),

final as (

    select
        shapes.tenant_id,
        shapes.date,
        shapes.event_name,
        carried.key as field,
        carried.value as json_type,
        sum(shapes.events)::bigint as events
    from shapes
    cross join lateral jsonb_each_text(shapes.shape) as carried
    group by shapes.tenant_id, shapes.date, shapes.event_name, carried.key, carried.value

)

select * from final
