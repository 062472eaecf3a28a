{{ config(
    unique_key=['tenant_id', 'activity_id', 'period', 'period_start'],
    meta={'rebuild': {
        'key': {'period': 'id', 'period_start': 'date'},
        'reads': {'activity_periods': 'period', 'tenant_days': 'day'},
        'affected_by': 'affected_period_next_and_begun',
        'periods': ['day', 'week', 'month'],
        'time_triggered': 'time_triggered_begun_activity_periods',
        'end': 'next_period_start',
        'date': 'last_day',
    }}
) }}

{{ lifecycle(ref('activity_periods'), ['activity_id'], ref('activity_definitions')) }}
