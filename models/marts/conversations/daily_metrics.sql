{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'period_totals': 'period'},
        'date': 'date',
    }}
) }}

with days as (

    select totals.*
    from {{ ref('period_totals') }} as totals
    {{ only_affected('totals', date='period_start') }}
    where totals.period = 'day'

),

final as (

    select
        tenant_id,
        period_start as date,
        is_complete,
        total_conversations,
        resolved_conversations,
        escalated_conversations,
        abandoned_conversations,
        open_conversations,
        no_reply_conversations,
        {{ ratio('resolved_conversations', 'total_conversations - no_reply_conversations') }} as resolution_rate,
        {{ ratio('escalated_conversations', 'total_conversations - no_reply_conversations') }} as escalation_rate,
        {{ ratio('abandoned_conversations', 'total_conversations - no_reply_conversations') }} as abandonment_rate,
        avg_response_time_ms,
        p50_response_time_ms,
        p95_response_time_ms,
        p99_response_time_ms,
        turns,
        unanswered_turns,
        sla_breaches,
        total_messages,
        {{ ratio('total_messages', 'total_conversations') }} as avg_conversation_length,
        unique_customers,
        avg_rating,
        ratings,
        good_ratings,
        {{ ratio('good_ratings', 'ratings') }} as good_ratings_share,
        avg_resolution_seconds
    from days

)

select * from final
