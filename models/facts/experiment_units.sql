{{ config(
    unique_key=['tenant_id', 'experiment', 'user_id'],
    indexes=[{'columns': ['tenant_id', 'user_id']}],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'stg_events': 'user'},
        'publishes': {'user': {'id': 'user_id'}, 'experiment': {'id': 'experiment'}},
    }}
) }}

with exposures as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where
        events.event_name = 'experiment.exposed'
        and events.user_id is not null
        and events.experiment is not null
        and events.variant is not null

),

final as (

    select
        tenant_id,
        experiment,
        user_id,
        {{ first_known('variant') }} as variant,
        min(occurred_at) as exposed_at,
        min(occurred_on) as exposed_on,
        count(distinct variant) > 1 as has_seen_several
    from exposures
    group by tenant_id, experiment, user_id

)

select * from final
