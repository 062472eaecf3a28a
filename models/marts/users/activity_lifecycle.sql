{{ config(
    unique_key=['tenant_id', 'activity_id', 'period', 'period_start'],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'activity_periods': 'period'},
        'affected_by': 'affected_period_and_next',
        'time_triggered': 'time_triggered_begun_activity_periods',
        'end': 'next_period_start',
        'date': 'last_day',
    }}
) }}

{{ lifecycle(ref('activity_periods'), ['activity_id']) }}
