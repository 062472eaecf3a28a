{{ config(
    unique_key=['tenant_id', 'event_id', 'fact'],
    indexes=[{'columns': ['tenant_id', 'occurred_on']}],
    meta={'rebuild': {
        'key': {'occurred_on': 'date'},
        'reads': {'stg_events': 'day'},
        'affected_by': 'affected_placements',
        'beside': dict.fromkeys(
            facts_of_events(), 'follows from the events of staging; what is missing is looked for until it is there'
        ),
        'publishes': {'arrival': {'date': 'received_on'}},
        'date': 'occurred_on',
        'freezes': 'nothing',
    }}
) }}

with events as (

    select {{ columns_to_place('events') }}
    from {{ ref('stg_events') }} as events
    {{ only_affected('events') }}
    where {{ is_no_history('events') }}

),

final as (

    {{ unplaced_events('events', facts_of_events()) }}

)

select * from final
