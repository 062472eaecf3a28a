{# A table, not a view: rebuilding the marts it reads must not take it away. #}
{{ config(
    materialized='table',
    unique_key=['date'],
) }}

with dates as (

    select date from {{ ref('active_users') }}
    union all
    select date from {{ ref('daily_metrics') }}

),

final as (

    select days.day::date as date
    from (
        select
            min(date) as first_date,
            max(date) as last_date
        from dates
    ) as bounds
    cross join lateral generate_series(bounds.first_date, bounds.last_date, interval '1 day') as days (day)

)

select * from final
