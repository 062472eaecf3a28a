{% set scores = ['helpfulness', 'accuracy', 'politeness', 'overall'] -%}
{{ config(
    unique_key=['tenant_id', 'conversation_id'],
    indexes=[{'columns': ['tenant_id', 'started_on', 'overall_score']}],
    meta={'rebuild': {
        'key': {'conversation_id': 'id'},
        'reads': {'conversations': 'conversation', 'conversation_signals': 'conversation', 'judgements': 'thread'},
        'publishes': {'day': {'date': 'started_on'}},
        'date': 'started_on',
    }}
) }}

with conversations as (

    select conversations.*
    from {{ ref('conversations') }} as conversations
    {{ only_affected('conversations') }}

),

weights as (

    select
        tenant_id,
        max(rubric_version) as rubric_version,
        {%- for score in scores %}{% set last_score = loop.last %}
        {%- for signal in signals_of(score) %}
        max(weight) filter (where score = '{{ score }}' and signal = '{{ signal }}') as {{ score }}_{{ signal }}
        {{- ',' if not (loop.last and last_score) }}
        {%- endfor %}
        {%- endfor %}
    from {{ ref('quality_weights') }}
    group by tenant_id

),

-- a person's word before a model's, then the last one
judgements as (

    select
        judgements.*,
        row_number() over (
            partition by judgements.tenant_id, judgements.conversation_id
            order by judgements.judge_kind = 'person' desc, judgements.scored_at desc, judgements.judgement_id desc
        ) as precedence
    from {{ ref('judgements') }} as judgements
    {{ only_affected('judgements', conversation_id='thread_id') }}
    where judgements.conversation_id is not null

),

judged as (

    select
        tenant_id,
        conversation_id,
        {%- for score in scores %}
        round((
            array_agg({{ score }}_score order by precedence) filter (where {{ score }}_score is not null)
        )[1]::numeric, 2)::numeric(3, 2) as {{ score }},
        {%- endfor %}
        max(judge) filter (where precedence = 1) as judge,
        max(rubric) filter (where precedence = 1) as rubric,
        max(rubric_version) filter (where precedence = 1) as rubric_version,
        max(scored_at) filter (where precedence = 1) as scored_at
    from judgements
    group by tenant_id, conversation_id

),

weighed as (

    select
        conversations.user_id,
        conversations.channel,
        conversations.last_event_at,
        signals.*,
        {%- for score in scores %}
        judged.{{ score }} as judged_{{ score }},
        {%- endfor %}
        judged.judge,
        judged.rubric,
        judged.rubric_version,
        judged.scored_at,
        weights.rubric_version as weights_version,
        {%- for score in scores %}{% set last_score = loop.last %}
        {%- for signal in signals_of(score) %}
        weights.{{ score }}_{{ signal }}{{ ',' if not (loop.last and last_score) }}
        {%- endfor %}
        {%- endfor %}
    from conversations
    inner join {{ ref('conversation_signals') }} as signals
        on
            conversations.tenant_id = signals.tenant_id
            and conversations.conversation_id = signals.conversation_id
    left join judged
        on
            conversations.tenant_id = judged.tenant_id
            and conversations.conversation_id = judged.conversation_id
    left join lateral {{ best_setting('weights', 'conversations') }} as weights on true

),

scored as (

    select
        *,
        {%- for score in scores if score != 'overall' %}
        coalesce(judged_{{ score }}, {{ weighted_score(score) }}) as {{ score }}{{ ',' if not loop.last }}
        {%- endfor %}
    from weighed

),

scored_overall as (

    select
        *,
        coalesce(judged_overall, {{ weighted_score('overall') }}) as overall
    from scored

),

based as (

    select
        *,
        case
            when coalesce(judged_overall, judged_helpfulness, judged_accuracy, judged_politeness) is not null
                then 'judged'
            when coalesce(overall, helpfulness, accuracy, politeness) is not null then 'signals'
        end as basis
    from scored_overall

),

final as (

    select
        tenant_id,
        conversation_id,
        user_id,
        channel,
        started_on,
        overall as overall_score,
        helpfulness as helpfulness_score,
        accuracy as accuracy_score,
        politeness as politeness_score,
        basis,
        judge,
        case basis when 'judged' then rubric when 'signals' then 'signals' end as rubric,
        case basis when 'judged' then rubric_version when 'signals' then weights_version end as rubric_version,
        nullif(jsonb_strip_nulls(jsonb_build_object(
            {%- for score in scores %}
            '{{ score }}', case
                when judged_{{ score }} is null and {{ score }} is not null then {{ weighed_signals(score) }}
            end{{ ',' if not loop.last }}
            {%- endfor %}
        )), '{}') as signals,
        case basis when 'judged' then scored_at when 'signals' then last_event_at end as scored_at
    from based

)

select * from final
