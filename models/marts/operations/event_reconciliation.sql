{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {
            'raw': 'batch',
            'stg_events': 'arrival',
            'stg_excluded_events': 'arrival',
            'unplaced_events': 'arrival',
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

-- batches that arrived since staging was built are the next build's
{% set is_built = "batch_id <= (select position from ops.watermarks where model = 'stg_events' and upstream = 'raw')" %}
-- where accepted events are, or why they are nowhere
{% set places = {
    'staged': ('stg_events', 'count(*)', 'true'),
    'unplaced': ('unplaced_events', 'count(distinct events.event_id)', 'true'),
    'too_late': ('stg_too_late_events', 'count(*)', 'true'),
    'excluded': ('stg_excluded_events', 'count(*)', 'true'),
    'blocked': ('stg_blocked_events', 'count(*)', 'events.' ~ is_built),
} %}

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
    where batches.{{ is_built }}
    group by batches.tenant_id, batches.received_on

),

placed as (

    {% for place, (relation, count, condition) in places.items() -%}
    select
        '{{ place }}' as place,
        events.tenant_id,
        events.received_on as date,
        {{ count }} as events
    from {{ ref(relation) }} as events
    {{ only_affected('events', date='received_on') }}
    where {{ condition }}
    group by events.tenant_id, events.received_on
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        tenant_id,
        date,
        {% for place in places -%}
        coalesce(sum(events) filter (where place = '{{ place }}'), 0)::bigint as {{ place }}{{ ',' if not loop.last }}
        {% endfor %}
    from placed
    group by tenant_id, date

),

told as (

    select
        landed.*,
        {% for place in places -%}
        coalesce(counted.{{ place }}, 0) as {{ place }}{{ ',' if not loop.last }}
        {% endfor %}
    from landed
    left join counted on landed.tenant_id = counted.tenant_id and landed.date = counted.date

),

final as (

    select
        tenant_id,
        date,
        received,
        accepted,
        duplicate,
        rejected,
        no_consent,
        erased_subject,
        resent,
        resent_duplicate,
        staged as staged_events,
        staged - unplaced as fact_events,
        too_late as too_late_events,
        excluded as excluded_events,
        blocked as blocked_events,
        accepted - (staged - unplaced) - too_late - excluded - blocked as unaccounted_events,
        accepted = staged - unplaced + too_late + excluded + blocked as is_accounted_for
    from told

)

select * from final
