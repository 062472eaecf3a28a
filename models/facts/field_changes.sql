{{ config(
    unique_key=['tenant_id', 'event_name', 'date', 'field', 'json_type'],
    meta={'rebuild': {
        'key': {'event_name': 'id', 'date': 'date'},
        'reads': {'input_days': 'type_day', 'event_fields': 'type_day'},
        'affected_by': 'affected_trained_days',
        'date': 'date',
    }}
) }}

-- each day of an event type beside the days it is compared with
with days as (

    select
        days.tenant_id,
        days.event_name,
        days.date,
        days.events,
        settings.min_volume,
        settings.min_change,
        settings.training_days,
        sum(before.events)::bigint as events_before
    from {{ ref('input_days') }} as days
    {{ only_affected('days') }}
    inner join lateral
        {{ best_setting(
            ref('anomaly_settings'), 'days', ['tenant_id', 'event_name'], where="metric = 'changed_fields'"
        ) }} as settings on true
    inner join {{ ref('input_days') }} as before
        on
            days.tenant_id = before.tenant_id
            and days.event_name = before.event_name
            and before.date between days.date - settings.training_days and days.date - 1
    where days.events >= settings.min_volume
    group by
        days.tenant_id,
        days.event_name,
        days.date,
        days.events,
        settings.min_volume,
        settings.min_change,
        settings.training_days
    having sum(before.events) >= settings.min_volume

),

fields as (

    select
        days.tenant_id,
        days.event_name,
        days.date,
        days.min_change,
        fields.field,
        fields.json_type,
        {{ ratio('coalesce(sum(fields.events) filter (where fields.date = days.date), 0)', 'days.events') }} as share,
        {{ ratio('coalesce(sum(fields.events) filter (where fields.date < days.date), 0)', 'days.events_before') }}
            as share_before
    from days
    inner join {{ ref('event_fields') }} as fields
        on
            days.tenant_id = fields.tenant_id
            and days.event_name = fields.event_name
            and fields.date between days.date - days.training_days and days.date
    group by
        days.tenant_id,
        days.event_name,
        days.date,
        days.events,
        days.events_before,
        days.min_change,
        fields.field,
        fields.json_type

),

compared as (

    select
        tenant_id,
        date,
        event_name,
        field,
        json_type,
        case
            when share_before - share >= min_change then 'lost'
            when share_before = 0 and max(share_before) over whole_field = 0 then 'new_field'
            when share_before = 0 then 'new_type'
        end as change,
        share,
        share_before
    from fields
    window whole_field as (partition by tenant_id, event_name, date, field)

),

final as (

    select * from compared
    where change is not null

)

select * from final
