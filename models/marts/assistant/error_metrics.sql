{{ config(
    unique_key=['tenant_id', 'date', 'error_class'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'errors': 'day', 'event_days': 'day'},
        'date': 'date',
    }}
) }}

with errors as (

    select
        errors.tenant_id,
        errors.occurred_on as date,
        errors.error_class,
        count(*) as errors
    from {{ ref('errors') }} as errors
    {{ only_affected('errors', date='occurred_on') }}
    group by errors.tenant_id, errors.occurred_on, errors.error_class

),

events as (

    select
        event_days.tenant_id,
        event_days.date,
        sum(event_days.events)::bigint as events
    from {{ ref('event_days') }} as event_days
    {{ only_affected('event_days') }}
    group by event_days.tenant_id, event_days.date

),

final as (

    select
        errors.tenant_id,
        errors.date,
        errors.error_class,
        errors.errors,
        events.events,
        {{ ratio('errors.errors', 'events.events') }} as error_rate
    from errors
    inner join events on errors.tenant_id = events.tenant_id and errors.date = events.date

)

select * from final
