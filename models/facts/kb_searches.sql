{{ config(
    unique_key=['tenant_id', 'search_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'searched_on']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'publishes': {'thread': {'id': 'thread_id'}, 'day': {'date': 'searched_on'}},
        'date': 'searched_on',
    }}
) }}

with events as (

    select
        events.tenant_id,
        events.event_id,
        events.event_name,
        events.thread_id,
        events.conversation_id,
        events.user_id,
        events.channel,
        events.occurred_at,
        events.occurred_on,
        events.text,
        events.results_count,
        events.top_score,
        events.duration_ms,
        -- a hit belongs to the search before it
        count(*) filter (where events.event_name = 'kb.search') over (
            partition by events.tenant_id, events.thread_id
            order by {{ event_order('events') }}
        ) as search_number
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where events.event_name in ('kb.search', 'kb.hit', 'kb.citation_clicked')

),

used as (

    select
        tenant_id,
        thread_id,
        search_number,
        bool_or(event_name <> 'kb.search') as was_used
    from events
    where search_number > 0
    group by tenant_id, thread_id, search_number

),

final as (

    select
        events.tenant_id,
        events.event_id as search_id,
        events.thread_id,
        events.conversation_id,
        events.user_id,
        events.channel,
        events.occurred_at as searched_at,
        events.occurred_on as searched_on,
        events.text as query,
        events.results_count,
        events.top_score,
        events.duration_ms,
        used.was_used
    from events
    inner join used
        on
            events.tenant_id = used.tenant_id
            and events.thread_id = used.thread_id
            and events.search_number = used.search_number
    where events.event_name = 'kb.search'

)

select * from final
