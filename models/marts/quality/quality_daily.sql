{% set scores = ['overall', 'helpfulness', 'accuracy', 'politeness'] -%}
{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'conversation_quality_scores': 'day'},
        'date': 'date',
    }}
) }}

with scores as (

    select scores.*
    from {{ ref('conversation_quality_scores') }} as scores
    {{ only_affected('scores', date='started_on') }}

),

final as (

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

)

select * from final
