{{ config(
    unique_key=['tenant_id', 'activity_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'activity_days': 'day', 'tenant_days': 'day'},
        'affected_by': 'affected_trailing_month',
        'date': 'date',
    }}
) }}

with activities as (

    select * from {{ ref('activity_definitions') }}

),

dates as (

    select
        asked_for.tenant_id,
        activities.activity_id,
        asked_for.date
    from ({{ dates_asked_for() }}) as asked_for
    inner join activities on activities.tenant_id in ('*', asked_for.tenant_id)

),

{{ users_of_trailing_days(ref('activity_days'), ['activity_id']) }},

events as (

    select
        activity_days.tenant_id,
        activity_days.activity_id,
        activity_days.date,
        sum(activity_days.events)::bigint as events
    from {{ ref('activity_days') }} as activity_days
    {{ only_affected('activity_days') }}
    group by activity_days.tenant_id, activity_days.activity_id, activity_days.date

),

final as (

    select
        active.tenant_id,
        active.activity_id,
        active.date,
        active.dau,
        active.wau,
        active.mau,
        {{ ratio('active.dau', 'active.mau') }} as stickiness,
        coalesce(events.events, 0) as events
    from active
    left join events
        on
            active.tenant_id = events.tenant_id
            and active.activity_id = events.activity_id
            and active.date = events.date

)

select * from final
