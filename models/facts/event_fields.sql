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

-- few kinds of events stand for many
with kinds as (

    select
        events.tenant_id,
        events.occurred_on as date,
        events.event_name,
        events.sent_ids,
        events.sent_fields,
        events.sent_types,
        count(*) as events
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='occurred_on') }}
    group by
        events.tenant_id,
        events.occurred_on,
        events.event_name,
        events.sent_ids,
        events.sent_fields,
        events.sent_types

),

sent as (

    select
        kinds.tenant_id,
        kinds.date,
        kinds.event_name,
        ids.name as field,
        'string' as json_type,
        kinds.events
    from kinds
    cross join lateral jsonb_array_elements_text(kinds.sent_ids) as ids (name)
    union all
    select
        kinds.tenant_id,
        kinds.date,
        kinds.event_name,
        'attributes.' || attributes.name as field,
        kinds.sent_types ->> (attributes.place - 1)::integer as json_type,
        kinds.events
    from kinds
    cross join lateral jsonb_array_elements_text(kinds.sent_fields) with ordinality as attributes (name, place)

),

final as (

    select
        tenant_id,
        date,
        event_name,
        field,
        json_type,
        sum(events)::bigint as events
    from sent
    where json_type <> 'null'
    group by tenant_id, date, event_name, field, json_type

)

select * from final
