{{ config(
    unique_key=['tenant_id', 'date', 'agent', 'team'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'conversations': 'day', 'responses': 'conversation_day'},
        'date': 'date',
    }}
) }}

with conversations as (

    select
        conversations.*,
        coalesce(conversations.agent, 'unknown') as agent_name,
        coalesce(conversations.team, 'unknown') as team_name,
        tenants.good_rating
    from {{ ref('conversations') }} as conversations
    {{ only_affected('conversations', date='started_on') }}
    inner join {{ ref('stg_tenants') }} as tenants on conversations.tenant_id = tenants.tenant_id
    where conversations.agent is not null or conversations.team is not null

),

counted as (

    select
        tenant_id,
        started_on as date,
        agent_name as agent,
        team_name as team,
        count(*) as conversations,
        count(*) filter (where outcome = 'resolved') as resolved_conversations,
        count(*) filter (where outcome = 'no_reply') as no_reply_conversations,
        {{ mean('last_resolution_seconds', where="outcome = 'resolved'") }} as avg_resolution_seconds,
        {{ mean('handover_seconds') }} as avg_handover_seconds,
        count(rating) as ratings,
        count(*) filter (where rating >= good_rating) as good_ratings,
        {{ mean('rating') }} as avg_rating
    from conversations
    group by tenant_id, started_on, agent_name, team_name

),

answered as (

    select
        conversations.tenant_id,
        conversations.started_on as date,
        conversations.agent_name as agent,
        conversations.team_name as team,
        count(*) as responses,
        percentile_cont(array[0.5, 0.95]) within group (order by responses.duration_ms) as percentiles
    from conversations
    inner join {{ ref('responses') }} as responses
        on
            conversations.tenant_id = responses.tenant_id
            and conversations.conversation_id = responses.conversation_id
    group by conversations.tenant_id, conversations.started_on, conversations.agent_name, conversations.team_name

),

final as (

    select
        counted.tenant_id,
        counted.date,
        counted.agent,
        counted.team,
        counted.conversations,
        counted.resolved_conversations,
        counted.no_reply_conversations,
        {{ ratio('counted.resolved_conversations', 'counted.conversations - counted.no_reply_conversations') }}
            as resolution_rate,
        coalesce(answered.responses, 0) as responses,
        answered.percentiles[1] as p50_response_time_ms,
        answered.percentiles[2] as p95_response_time_ms,
        counted.avg_resolution_seconds,
        counted.avg_handover_seconds,
        counted.ratings,
        {{ ratio('counted.good_ratings', 'counted.ratings') }} as good_ratings_share,
        counted.avg_rating
    from counted
    left join answered
        on
            counted.tenant_id = answered.tenant_id
            and counted.date = answered.date
            and counted.agent = answered.agent
            and counted.team = answered.team

)

select * from final
