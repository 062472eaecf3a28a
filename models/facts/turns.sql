{{ config(
    unique_key=['tenant_id', 'turn_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id', 'asked_at']},
        {'columns': ['tenant_id', 'asked_on']},
        {'columns': ['status', 'expires_at']},
    ],
    meta={'rebuild': {
        'key': {'thread_id': 'id'},
        'reads': {'stg_events': 'thread'},
        'time_triggered': 'time_triggered_turns',
        'publishes': {'thread': {'id': 'thread_id'}, 'day': {'date': 'asked_on'}},
        'date': 'asked_on',
    }}
) }}

{% set wait_ms = 'case when waited.is_measured then waited.measured_ms else waited.derived_ms end' %}

with events as (

    select events.*
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}

),

tenants as (

    select * from {{ ref('stg_tenants') }}

),

threads as (

    select
        tenant_id,
        thread_id,
        min(occurred_on) as started_on,
        -- what machines record of a conversation does not break its silence
        coalesce(max(occurred_at) filter (where actor <> 'system'), max(occurred_at)) as last_event_at
    from events
    group by tenant_id, thread_id

),

marked as (

    {{ turn_marks('events') }}

),

told as (

    {{ turns_told('marked') }}

),

timed as (

    select
        *,
        {{ milliseconds_between('asked_at', 'answered_at') }}::double precision as derived_ms
    from told

),

waited as (

    select
        timed.*,
        threads.started_on,
        tenants.sla_ms,
        tenants.time_zone,
        coalesce(timed.is_alone or abs(timed.measured_ms - timed.derived_ms) <= 1000, false) as is_measured,
        case
            when timed.answered_at is null and timed.ended_at is null then {{ abandoned_at('threads', 'tenants') }}
        end as expires_at
    from timed
    inner join threads on timed.tenant_id = threads.tenant_id and timed.thread_id = threads.thread_id
    inner join tenants on timed.tenant_id = tenants.tenant_id

),

final as (

    select
        waited.tenant_id,
        waited.turn_id,
        waited.answer_id,
        waited.thread_id,
        waited.conversation_id,
        waited.user_id,
        waited.channel,
        case
            when waited.actor = 'assistant' or waited.is_alone then coalesce(waited.model, 'unknown')
            else 'unknown'
        end as model,
        waited.wait_for,
        waited.actor,
        case
            when waited.answered_at is not null then 'answered'
            when waited.ended_at is not null or waited.expires_at <= {{ as_of() }} then 'unanswered'
            else 'waiting'
        end as status,
        case
            when waited.is_measured then 'measured'
            when waited.answered_at is not null then 'derived'
        end as basis,
        waited.asked_at,
        {{ local_date('waited.asked_at', 'waited.time_zone') }} as asked_on,
        waited.answered_at,
        {{ local_date('waited.answered_at', 'waited.time_zone') }} as answered_on,
        waited.ended_at,
        waited.expires_at,
        case when waited.conversation_id is not null then waited.started_on end as conversation_started_on,
        {{ wait_ms }} as wait_ms,
        {{ open_milliseconds('waited', 'waited.asked_at', 'waited.answered_at', wait_ms) }} as open_wait_ms,
        case
            when waited.answered_at is not null then {{ wait_ms }} > waited.sla_ms
            else {{ is_past_promise(
                'waited.asked_at', 'coalesce(waited.ended_at, least(waited.expires_at, ' ~ as_of() ~ '))', 'waited.sla_ms'
            ) }}
        end as is_breach
    from waited

)

select * from final
