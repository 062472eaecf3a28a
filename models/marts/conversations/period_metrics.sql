{{ config(
    unique_key=['tenant_id', 'period', 'period_start'],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'period_totals': 'period'},
        'affected_by': 'affected_period_and_next',
        'date': 'last_day',
    }}
) }}

{# Those that the customer took part in: the others are in no rate. -#}
{% set answered = '{0}.total_conversations - {0}.no_reply_conversations' %}

with current_periods as (

    select totals.*
    from {{ ref('period_totals') }} as totals
    {{ only_affected('totals') }}

),

previous_periods as (

    select * from {{ ref('period_totals') }}

),

final as (

    select
        current_periods.tenant_id,
        current_periods.period,
        current_periods.period_start,
        current_periods.last_day,
        current_periods.is_complete,
        current_periods.total_conversations,
        current_periods.resolved_conversations,
        current_periods.escalated_conversations,
        current_periods.abandoned_conversations,
        current_periods.open_conversations,
        current_periods.no_reply_conversations,
        {{ ratio('current_periods.resolved_conversations', answered.format('current_periods')) }} as resolution_rate,
        {{ ratio('current_periods.escalated_conversations', answered.format('current_periods')) }}
            as escalation_rate,
        {{ ratio('current_periods.abandoned_conversations', answered.format('current_periods')) }}
            as abandonment_rate,
        current_periods.avg_response_time_ms,
        current_periods.p50_response_time_ms,
        current_periods.p95_response_time_ms,
        current_periods.p99_response_time_ms,
        current_periods.turns,
        current_periods.unanswered_turns,
        current_periods.sla_breaches,
        current_periods.total_messages,
        {{ ratio('current_periods.total_messages', 'current_periods.total_conversations') }} as avg_conversation_length,
        current_periods.unique_customers,
        current_periods.avg_rating,
        current_periods.ratings,
        current_periods.good_ratings,
        {{ ratio('current_periods.good_ratings', 'current_periods.ratings') }} as good_ratings_share,
        current_periods.avg_resolution_seconds,

        -- the calendar period before: counts are 0 where nothing began in it, rates and means are null
        {% for count in [
            'total_conversations', 'resolved_conversations', 'escalated_conversations', 'abandoned_conversations',
            'open_conversations', 'no_reply_conversations', 'turns', 'unanswered_turns', 'sla_breaches', 'total_messages',
            'unique_customers', 'ratings', 'good_ratings',
        ] -%}
        coalesce(previous_periods.{{ count }}, 0) as previous_{{ count }},
        {% endfor -%}
        {{ ratio('previous_periods.resolved_conversations', answered.format('previous_periods')) }}
            as previous_resolution_rate,
        {{ ratio('previous_periods.escalated_conversations', answered.format('previous_periods')) }}
            as previous_escalation_rate,
        {{ ratio('previous_periods.abandoned_conversations', answered.format('previous_periods')) }}
            as previous_abandonment_rate,
        {{ ratio('previous_periods.total_messages', 'previous_periods.total_conversations') }}
            as previous_avg_conversation_length,
        {{ ratio('previous_periods.good_ratings', 'previous_periods.ratings') }} as previous_good_ratings_share,
        {% for measure in [
            'avg_response_time_ms', 'p50_response_time_ms', 'p95_response_time_ms', 'p99_response_time_ms', 'avg_rating',
            'avg_resolution_seconds',
        ] -%}
        previous_periods.{{ measure }} as previous_{{ measure }},
        {% endfor -%}
        case
            when coalesce(previous_periods.total_conversations, 0) = 0
                then case when current_periods.total_conversations > 0 then 1.0 else 0.0 end
            else {{ ratio(
                'current_periods.total_conversations - previous_periods.total_conversations',
                'previous_periods.total_conversations'
            ) }}
        end as growth_rate
    from current_periods
    left join previous_periods
        on
            current_periods.tenant_id = previous_periods.tenant_id
            and current_periods.period = previous_periods.period
            and previous_periods.period_start
            = {{ period_shift('current_periods.period', 'current_periods.period_start', -1) }}

)

select * from final
