{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'voice_events': 'day', 'tenant_days': 'day'},
        'date': 'date',
    }}
) }}

{% set turns = "count(*) filter (where event_name = 'voice.turn_started')" %}
{% set barge_ins = "count(*) filter (where event_name = 'voice.barge_in')" %}

with events as (

    select events.*
    from {{ ref('voice_events') }} as events
    {{ only_affected('events', date='occurred_on') }}

),

spoken as (

    select
        tenant_id,
        occurred_on as date,
        {{ turns }} as turns,
        {{ percentile(0.5, 'duration_ms') }} filter (where event_name = 'voice.first_response')
            as first_response_p50_ms,
        {{ percentile(0.95, 'duration_ms') }} filter (where event_name = 'voice.first_response')
            as first_response_p95_ms,
        {{ percentile(0.99, 'duration_ms') }} filter (where event_name = 'voice.first_response')
            as first_response_p99_ms,
        {{ barge_ins }} as barge_ins,
        -- a turn can be interrupted more than once: the share is of interruptions per turn, at most one each
        {{ ratio('least(' ~ barge_ins ~ ', ' ~ turns ~ ')', turns) }} as barge_in_rate,
        {{ percentile(0.95, 'latency_ms') }} filter (where event_name = 'voice.asr_partial')
            as asr_partial_latency_p95_ms
    from events
    group by tenant_id, occurred_on

),

final as (

    {{ on_each_day(
        'spoken',
        counts=[
            'turns', 'barge_ins',
        ],
        others=[
            'first_response_p50_ms', 'first_response_p95_ms', 'first_response_p99_ms', 'barge_in_rate', 'asr_partial_latency_p95_ms',
        ],
    ) }}

)

select * from final
