{% set scores = ['overall', 'helpfulness', 'accuracy', 'politeness'] -%}
{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'conversation_quality_scores': 'day', 'tenant_days': 'day'},
        'date': 'date',
    }}
) }}

with scores as (

    select scores.*
    from {{ ref('conversation_quality_scores') }} as scores
    {{ only_affected('scores', date='started_on') }}

),

scored as (

    select
        scores.tenant_id,
        scores.started_on as date,
        count(*) as conversations,
        count(scores.basis) as scored_conversations,
        count(*) filter (where scores.basis = 'judged') as judged_conversations,
        {{ ratio('count(scores.basis)', 'count(*)') }} as scored_share,
        {%- for score in scores %}
        {{ mean('scores.' ~ score ~ '_score') }} as avg_{{ score }}_score,
        {{ ratio(
            'count(*) filter (where scores.' ~ score ~ '_score < settings.low_' ~ score ~ ')',
            'count(scores.' ~ score ~ '_score)'
        ) }} as low_{{ score }}_share{{ ',' if not loop.last }}
        {%- endfor %}
    from scores
    inner join lateral {{ best_setting(ref('quality_settings'), 'scores') }} as settings on true
    group by scores.tenant_id, scores.started_on

),

final as (

    {% set others = ['scored_share'] -%}
    {%- for score in scores -%}
    {% do others.extend(['avg_' ~ score ~ '_score', 'low_' ~ score ~ '_share']) %}
    {%- endfor -%}
    {{ on_each_day(
        'scored', counts=['conversations', 'scored_conversations', 'judged_conversations'], others=others
    ) }}

)

select * from final
