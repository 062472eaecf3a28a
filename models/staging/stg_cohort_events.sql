-- depends_on: {{ ref('stg_events') }}
{{ config(
    unique_key=['tenant_id', 'event_id', 'cohort_id'],
    indexes=[{'columns': ['tenant_id', 'user_id', 'occurred_on']}],
    meta={'rebuild': {
        'key': {'event_id': 'event_id'},
        'reads': {'raw': 'batch', 'stg_visitor_users': 'visitor', 'stg_blocked_days': 'tenant_day'},
        'affected_by': 'affected_new_events',
        'definitions': ['stg_cohort_matchers', 'stg_event_types'],
        'publishes': {'user': {'id': 'user_id', 'date': 'occurred_on'}},
        'beside': {'stg_events': 'built before, so that it says how far raw is taken in'},
        'date': 'occurred_on',
        'until': '{row}.occurred_on',
    }}
) }}

with known as (

    {{ known_events(new_or_all_events()) }}

),

source as (

    select * from known
    where
        person_id is not null
        and doer = 'customer'
        and {{ exclusion('known', 'known.person_id') }} is null
        and {{ is_not_blocked('known') }}

),

matchers as (

    select * from {{ ref('stg_cohort_matchers') }}

),

matched as (

    select
        source.tenant_id,
        source.event_id,
        source.person_id,
        source.occurred_at,
        source.occurred_on,
        source.time_zone,
        source.sequence,
        source.event_rank,
        matchers.cohort_id,
        matchers.has_hours,
        matchers.enters,
        matchers.returns,
        case
            when matchers.enters and matchers.breakdown is not null
                then ops.breakdown_value(matchers.breakdown, source.source, source.attributes)
        end as breakdown_value
    from source
    -- a matcher names the event, or any
    cross join lateral (values (source.event_name), ('*')) as named (event_name)
    inner join matchers
        on named.event_name = matchers.event_name and matchers.tenant_id in ('*', source.tenant_id)
    where matchers.predicate is null or {{ satisfies('source.attributes', 'matchers.predicate') }}

),

final as (

    select
        tenant_id,
        cohort_id,
        event_id,
        person_id as user_id,
        occurred_at,
        occurred_on,
        -- an hour of the tenant's own clock
        case
            when has_hours then date_trunc('hour', occurred_at, time_zone)
            else {{ local_midnight('occurred_on', 'time_zone') }}
        end as started_at,
        sequence,
        event_rank,
        bool_or(enters) as enters,
        bool_or(returns) as returns,
        min(breakdown_value) as breakdown_value
    from matched
    group by
        tenant_id,
        cohort_id,
        event_id,
        person_id,
        occurred_at,
        occurred_on,
        time_zone,
        has_hours,
        sequence,
        event_rank

)

select * from final
