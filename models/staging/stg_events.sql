{{ config(
    unique_key=['tenant_id', 'event_id'],
    indexes=[
        {'columns': ['tenant_id', 'thread_id']},
        {'columns': ['tenant_id', 'user_id', 'occurred_on']},
        {'columns': ['tenant_id', 'order_id']},
        {'columns': ['tenant_id', 'booking_id']},
        {'columns': ['tenant_id', 'occurred_on']},
        {'columns': ['received_on'], 'type': 'brin'},
    ],
    meta={'rebuild': {
        'key': {'event_id': 'event_id'},
        'reads': {'raw': 'batch', 'stg_visitor_users': 'visitor', 'stg_blocked_days': 'tenant_day'},
        'affected_by': 'affected_new_events',
        'definitions': ['stg_event_types'],
        'publishes': {
            'thread': {'id': 'thread_id'},
            'user': {'id': 'user_id', 'date': 'occurred_on'},
            'order': {'id': 'order_id'},
            'booking': {'id': 'booking_id'},
            'day': {'date': 'occurred_on'},
            'arrival': {'date': 'received_on'},
        },
        'date': 'occurred_on',
        'until': '{row}.occurred_on',
    }}
) }}

with known as (

    {{ known_events(new_or_all_events()) }}

),

source as (

    select * from known
    where
        {{ exclusion('known', 'known.person_id') }} is null
        and {{ is_not_blocked('known') }}

),

typed as (

    select
        -- ids
        source.tenant_id,
        source.event_id,
        source.event_name,
        coalesce(source.conversation_id, source.session_id, source.event_id::text) as thread_id,
        coalesce(source.conversation_id, source.session_id) as conversation_id,
        source.conversation_id is not null
        or (
            source.session_id is not null
            and source.is_conversational
        ) as marks_conversation,
        source.person_id as user_id,
        source.anonymous_id,
        coalesce(source.source, 'unknown') as channel,
        source.batch_id,

        -- times
        source.occurred_at,
        source.occurred_on,
        source.received_at,
        source.received_on,
        source.sequence,
        source.event_rank,

        -- messages and outcomes
        coalesce({{ text_attribute('text') }}, {{ text_attribute('query') }}) as text,
        source.doer as actor,
        {{ text_attribute('intent') }} as intent,
        {{ boolean_attribute('is_fallback') }} as is_fallback,
        {{ boolean_attribute('is_private') }} as is_private,
        {{ text_attribute('resolved_by') }} as resolved_by,
        {{ text_attribute('reason') }} as reason,
        {{ text_attribute('agent_id') }} as agent_id,
        {{ text_attribute('agent_name') }} as agent_name,
        {{ text_attribute('team') }} as team,
        {{ text_attribute('inbox') }} as inbox,
        {{ texts_attribute('labels') }} as labels,
        {{ scaled_attribute('rating', 'rating_min', 'rating_max') }} as rating,
        {{ text_attribute('judge') }} as judge,
        {{ text_attribute('rubric') }} as rubric,
        {{ text_attribute('rubric_version') }} as rubric_version,
        {{ number_attribute('helpfulness') }} as helpfulness,
        {{ number_attribute('accuracy') }} as accuracy,
        {{ number_attribute('politeness') }} as politeness,
        {{ number_attribute('overall') }} as overall,

        -- answers, tools, knowledge base, voice
        {{ number_attribute('duration_ms') }} as duration_ms,
        {{ number_attribute('latency_ms') }} as latency_ms,
        coalesce({{ text_attribute('model') }}, 'unknown') as model,
        {{ number_attribute('input_tokens', 'bigint') }} as input_tokens,
        {{ number_attribute('output_tokens', 'bigint') }} as output_tokens,
        {{ number_attribute('cost', 'numeric(28, 10)') }} as cost,
        {{ boolean_attribute('is_error') }} as is_error,
        {{ text_attribute('tool_name') }} as tool_name,
        {{ text_attribute('tool_call_id') }} as tool_call_id,
        {{ text_attribute('tool_kind') }} as tool_kind,
        {{ number_attribute('tool_count', 'bigint') }} as tool_count,
        {{ boolean_attribute('success') }} as success,
        {{ boolean_attribute('optimistic') }} as optimistic,
        {{ number_attribute('results_count', 'bigint') }} as results_count,
        {{ number_attribute('top_score') }} as top_score,
        {{ text_attribute('error_class') }} as error_class,

        -- shop, bookings, experiments
        {{ text_attribute('product_id') }} as product_id,
        {{ text_attribute('order_id') }} as order_id,
        {{ number_attribute('revenue', 'numeric(20, 4)') }} as revenue,
        nullif(upper(btrim({{ text_attribute('currency') }})), '') as currency,
        {{ text_attribute('booking_id') }} as booking_id,
        {{ number_attribute('services_count', 'bigint') }} as services_count,
        {{ number_attribute('estimated_total', 'numeric(20, 4)') }} as estimated_total,
        {{ text_attribute('service_name') }} as service_name,
        {{ text_attribute('experiment') }} as experiment,
        {{ text_attribute('variant') }} as variant,

        -- what it was sent with, for the checks of the input
        {{ sent_ids('source') }} as sent_ids,
        {{ sent_fields('source') }} as sent_fields,
        {{ sent_types('source') }} as sent_types
    from source

),

final as (

    select * from typed

)

select * from final
