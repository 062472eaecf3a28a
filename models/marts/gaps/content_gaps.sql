{{ config(
    materialized='table',
    unique_key=['tenant_id', 'gap_id'],
) }}

with topics as (

    select * from {{ source('analyses', 'topics') }}

),

statuses as (

    select * from {{ source('analyses', 'gap_statuses') }}

),

questions as (

    select
        questions.*,
        question_topics.topic_id,
        conversations.rating,
        statuses.status = 'resolved' and questions.asked_at > statuses.changed_at as is_after
    from {{ ref('gap_questions') }} as questions
    inner join {{ source('analyses', 'question_topics') }} as question_topics
        on
            questions.tenant_id = question_topics.tenant_id
            and questions.question_id = question_topics.question_id
    left join {{ ref('conversations') }} as conversations
        on
            questions.tenant_id = conversations.tenant_id
            and questions.conversation_id = conversations.conversation_id
    left join statuses
        on questions.tenant_id = statuses.tenant_id and question_topics.topic_id = statuses.gap_id

),

counted as (

    select
        tenant_id,
        topic_id,
        count(*) as frequency,
        count(distinct user_id) as customers,
        count(distinct conversation_id) as conversations,
        {{ ratio('count(*) filter (where was_escalated_after)', 'count(*)') }} as escalation_rate,
        {{ mean('rating') }} as avg_rating,
        min(asked_at) as first_seen_at,
        max(asked_at) as last_seen_at,
        count(*) filter (where is_after) as frequency_after,
        {{ ratio('count(*) filter (where is_after and was_escalated_after)', 'count(*) filter (where is_after)') }}
            as escalation_rate_after
    from questions
    group by tenant_id, topic_id

),

final as (

    select
        counted.tenant_id,
        counted.topic_id as gap_id,
        topics.name as topic,
        counted.frequency,
        counted.customers,
        counted.conversations,
        topics.confidence,
        topics.example_questions,
        coalesce(statuses.status, 'identified') as status,
        counted.escalation_rate,
        counted.avg_rating,
        counted.first_seen_at,
        counted.last_seen_at,
        topics.created_at,
        greatest(topics.updated_at, statuses.changed_at) as updated_at,
        case when statuses.status = 'resolved' then statuses.changed_at end as resolved_at,
        case when statuses.status = 'resolved' then counted.frequency_after end as frequency_after,
        case when statuses.status = 'resolved' then counted.escalation_rate_after end as escalation_rate_after
    from counted
    inner join topics on counted.tenant_id = topics.tenant_id and counted.topic_id = topics.topic_id
    left join statuses on counted.tenant_id = statuses.tenant_id and counted.topic_id = statuses.gap_id

)

select * from final
