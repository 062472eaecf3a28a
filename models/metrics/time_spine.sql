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

    select
        days.day::date as date,
        {%- for start in ['tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] %}
        {{ period_start("'week'", 'days.day::date', "'" ~ start ~ "'") }}
            as week_from_{{ start }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            min(date) as first_date,
            max(date) as last_date
        from dates
    ) as bounds
    cross join lateral generate_series(bounds.first_date, bounds.last_date, interval '1 day') as days (day)

)

select * from final
