{{ config(
    unique_key=['tenant_id', 'user_id', 'activity_id', 'period', 'period_start'],
    indexes=[
        {'columns': ['tenant_id', 'period', 'period_start']},
        {'columns': ['tenant_id', 'period', 'next_period_start']},
    ],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'activity_days': 'user'},
        'periods': ['day', 'week', 'month'],
        'publishes': {'period': {'id': 'period', 'date': 'period_start'}},
    }}
) }}

{{ active_periods(ref('activity_days'), ['activity_id']) }}
