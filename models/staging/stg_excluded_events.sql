{{ config(
    unique_key=['tenant_id', 'event_id'],
    meta={'rebuild': {
        'key': {'event_id': 'event_id'},
        'reads': {'raw': 'batch', 'stg_visitor_users': 'visitor', 'stg_blocked_days': 'tenant_day'},
        'affected_by': 'affected_excluded_events',
        'definitions': ['stg_event_types'],
        'publishes': {'arrival': {'date': 'received_on'}},
        'date': 'occurred_on',
        'until': '{row}.occurred_on',
    }}
) }}

with known as (

    {{ known_events(new_or_all_events()) }}

),

final as (

    select
        tenant_id,
        event_id,
        event_name,
        person_id as user_id,
        occurred_at,
        occurred_on,
        received_on,
        {{ exclusion('known', 'known.person_id') }} as reason
    from known
    where {{ is_not_blocked('known') }}

)

select * from final
where reason is not null
