{{ config(
    unique_key=['tenant_id', 'judgement_id'],
    indexes=[{'columns': ['tenant_id', 'thread_id']}],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'publishes': {'thread': {'id': 'thread_id'}},
        'date': 'scored_on',
    }}
) }}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where events.event_name = 'conversation.scored'

),

final as (

    select
        tenant_id,
        event_id as judgement_id,
        thread_id,
        conversation_id,
        judge,
        case
            when lower(judge) like any(select persons.judge from {{ ref('quality_judges') }} as persons)
                then 'person'
            else 'model'
        end as judge_kind,
        rubric,
        rubric_version,
        {{ within_0_and_1('overall') }} as overall_score,
        {{ within_0_and_1('helpfulness') }} as helpfulness_score,
        {{ within_0_and_1('accuracy') }} as accuracy_score,
        {{ within_0_and_1('politeness') }} as politeness_score,
        occurred_at as scored_at,
        occurred_on as scored_on
    from events

)

select * from final
