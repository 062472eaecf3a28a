{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {
            'raw': 'batch',
            'stg_events': 'arrival',
            'stg_excluded_events': 'arrival',
            'event_days': 'arrival',
        },
        'affected_by': 'affected_arrivals',
        'beside': {
            'stg_load_batches': 'batches are what raw gains, and affect their day',
            'stg_too_late_events': 'comes with a batch or leaves with one',
            'stg_blocked_events': 'comes with a batch, or with what leaves staging or enters it',
        },
        'date': 'date',
        'freezes': 'nothing',
    }}
) }}

with landed as (

    select
        batches.tenant_id,
        batches.received_on as date,
        {% for count in [
            'received', 'accepted', 'duplicate', 'rejected', 'no_consent', 'erased_subject', 'resent', 'resent_duplicate'
        ] -%}
        sum(batches.{{ count }})::bigint as {{ count }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('stg_load_batches') }} as batches
    {{ only_affected('batches', date='received_on') }}
    -- batches that arrived since staging was built are the next build's
    where batches.batch_id <= (
        select position from ops.watermarks where model = 'stg_events' and upstream = 'raw'
    )
    group by batches.tenant_id, batches.received_on

),

staged as (

    select
        events.tenant_id,
        events.received_on as date,
        count(*) as staged_events
    from {{ ref('stg_events') }} as events
    {{ only_affected('events', date='received_on') }}
    group by events.tenant_id, events.received_on

),

in_facts as (

    select
        event_days.tenant_id,
        event_days.received_on as date,
        sum(event_days.events)::bigint as fact_events
    from {{ ref('event_days') }} as event_days
    {{ only_affected('event_days', date='received_on') }}
    group by event_days.tenant_id, event_days.received_on

),

too_late as (

    select
        events.tenant_id,
        events.received_on as date,
        count(*) as too_late_events
    from {{ ref('stg_too_late_events') }} as events
    {{ only_affected('events', date='received_on') }}
    group by events.tenant_id, events.received_on

),

excluded as (

    select
        events.tenant_id,
        events.received_on as date,
        count(*) as excluded_events
    from {{ ref('stg_excluded_events') }} as events
    {{ only_affected('events', date='received_on') }}
    group by events.tenant_id, events.received_on

),

blocked as (

    select
        events.tenant_id,
        events.received_on as date,
        count(*) as blocked_events
    from {{ ref('stg_blocked_events') }} as events
    {{ only_affected('events', date='received_on') }}
    where events.batch_id <= (
        select position from ops.watermarks where model = 'stg_events' and upstream = 'raw'
    )
    group by events.tenant_id, events.received_on

),

final as (

    select
        landed.*,
        coalesce(staged.staged_events, 0) as staged_events,
        coalesce(in_facts.fact_events, 0) as fact_events,
        coalesce(too_late.too_late_events, 0) as too_late_events,
        coalesce(excluded.excluded_events, 0) as excluded_events,
        coalesce(blocked.blocked_events, 0) as blocked_events,
        landed.accepted
        = coalesce(staged.staged_events, 0)
        + coalesce(too_late.too_late_events, 0)
        + coalesce(excluded.excluded_events, 0)
        + coalesce(blocked.blocked_events, 0)
        and coalesce(staged.staged_events, 0) = coalesce(in_facts.fact_events, 0) as is_accounted_for
    from landed
    left join too_late on landed.tenant_id = too_late.tenant_id and landed.date = too_late.date
    left join excluded on landed.tenant_id = excluded.tenant_id and landed.date = excluded.date
    left join blocked on landed.tenant_id = blocked.tenant_id and landed.date = blocked.date
    left join staged on landed.tenant_id = staged.tenant_id and landed.date = staged.date
    left join in_facts on landed.tenant_id = in_facts.tenant_id and landed.date = in_facts.date

)

select * from final
