{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'event_days': 'day'},
        'time_triggered': 'time_triggered_tenant_days',
        'publishes': {'day': {'date': 'date'}},
        'date': 'date',
    }}
) }}

with bounds as (

    {{ bounds_of_tenants() }}

),

days as (

    select
        bounds.tenant_id,
        day.date::date as date
    from bounds
    cross join lateral generate_series(
        bounds.first_date::timestamp, bounds.last_date::timestamp, interval '1 day'
    ) as day (date)

),

final as (

    select
        days.tenant_id,
        days.date
    from days
    {{ only_affected('days') }}

)

select * from final
