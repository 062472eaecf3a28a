{{ config(
    unique_key=['tenant_id', 'user_id', 'date', 'activity_id'],
    indexes=[{'columns': ['tenant_id', 'date']}],
    meta={'rebuild': {
        'key': {'user_id': 'id', 'date': 'date'},
        'reads': {'stg_cohort_events': 'user'},
        'publishes': {'user': {'id': 'user_id'}, 'day': {'date': 'date'}},
        'date': 'date',
    }}
) }}

with activities as (

    select * from {{ ref('activity_definitions') }}

),

events as (

    select events.*
    from {{ ref('stg_cohort_events') }} as events
    {{ only_affected('events', date='occurred_on') }}

),

final as (

    select
        events.tenant_id,
        activities.activity_id,
        events.user_id,
        events.occurred_on as date,
        count(*) as events
    from events
    inner join activities on events.cohort_id = activities.activity_id
    group by events.tenant_id, activities.activity_id, events.user_id, events.occurred_on

)

select * from final
