{{ config(
    unique_key=['tenant_id', 'user_id', 'date', 'cohort_id', 'started_at'],
    meta={'rebuild': {
        'key': {'user_id': 'id', 'date': 'date'},
        'reads': {'stg_cohort_events': 'user', 'user_days': 'user', 'orders': 'buyer'},
        'definitions': ['stg_cohorts'],
        'publishes': {'user': {'id': 'user_id'}},
        'date': 'date',
    }}
) }}

with definitions as (

    select * from {{ ref('stg_cohorts') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

user_days as (

    select user_days.*
    from {{ ref('user_days') }} as user_days
    {{ only_affected('user_days') }}

),

events as (

    select events.*
    from {{ ref('stg_cohort_events') }} as events
    {{ only_affected('events', date='occurred_on') }}

),

done as (

    select
        tenant_id,
        cohort_id,
        user_id,
        occurred_on as date,
        started_at,
        bool_or(enters) as enters,
        count(*) filter (where returns) as returns,
        -- what the event says by which the user entered
        (array_agg(breakdown_value order by {{ event_order() }}) filter (where enters))[1] as breakdown_value
    from events
    group by tenant_id, cohort_id, user_id, occurred_on, started_at

),

days as (

    select
        user_days.tenant_id,
        definitions.cohort_id,
        user_days.user_id,
        user_days.date,
        {{ local_midnight('user_days.date', 'tenants.time_zone') }} as started_at,
        definitions.is_entered_any_day or coalesce(done.enters, false) as enters,
        case
            when definitions.is_returned_any_day then user_days.events
            else coalesce(done.returns, 0)
        end as returns,
        done.breakdown_value,
        user_days.revenue
    from user_days
    inner join tenants on user_days.tenant_id = tenants.tenant_id
    inner join definitions on definitions.tenant_id in ('*', user_days.tenant_id) and not definitions.has_hours
    left join done
        on
            user_days.tenant_id = done.tenant_id
            and user_days.user_id = done.user_id
            and user_days.date = done.date
            and definitions.cohort_id = done.cohort_id

),

spent as (

    select
        user_days.tenant_id,
        definitions.cohort_id,
        user_days.user_id,
        user_days.date,
        date_trunc('hour', orders.ordered_at, tenants.time_zone) as started_at,
        sum(orders.revenue)::numeric(20, 4) as revenue
    from user_days
    inner join tenants on user_days.tenant_id = tenants.tenant_id
    inner join definitions on definitions.tenant_id in ('*', user_days.tenant_id) and definitions.has_hours
    inner join {{ ref('orders') }} as orders
        on
            user_days.tenant_id = orders.tenant_id
            and user_days.user_id = orders.completed_user_id
            and user_days.date = orders.completed_on
    group by
        user_days.tenant_id,
        definitions.cohort_id,
        user_days.user_id,
        user_days.date,
        date_trunc('hour', orders.ordered_at, tenants.time_zone)

),

hours as (

    select
        tenant_id,
        cohort_id,
        user_id,
        date,
        started_at,
        coalesce(done.enters, false) as enters,
        coalesce(done.returns, 0) as returns,
        done.breakdown_value,
        coalesce(spent.revenue, 0)::numeric(20, 4) as revenue
    from (
        select done.*
        from done
        inner join definitions on done.cohort_id = definitions.cohort_id and definitions.has_hours
    ) as done
    full join spent using (tenant_id, cohort_id, user_id, date, started_at)

),

final as (

    select * from days
    union all
    select * from hours

)

select * from final
where enters or returns > 0 or revenue <> 0
