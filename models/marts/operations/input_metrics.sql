{{ config(materialized='view') }}

with event_metrics as (

    select
        days.tenant_id,
        days.date,
        days.event_name,
        metrics.metric,
        metrics.observed,
        metrics.base
    from {{ ref('input_days') }} as days
    cross join lateral (
        values
        ('events', days.events::double precision, days.events),
        ('mean_hour', days.mean_hour, days.events),
        ('late_share', {{ ratio('days.late_events', 'days.events') }}, days.events),
        ('without_user_share', {{ ratio('days.without_user', 'days.events') }}, days.events),
        ('without_conversation_share', {{ ratio('days.without_conversation', 'days.events') }}, days.events),
        ('without_session_share', {{ ratio('days.without_session', 'days.events') }}, days.events),
        ('median_duration_ms', case when days.event_name <> '(all)' then days.median_duration_ms end, days.events),
        ('median_revenue', case when days.event_name <> '(all)' then days.median_revenue end, days.events)
    ) as metrics (metric, observed, base)
    where metrics.observed is not null

),

tenant_metrics as (

    select
        days.tenant_id,
        days.date,
        days.event_name,
        metrics.metric,
        metrics.observed::double precision as observed,
        days.events as base
    from {{ ref('input_days') }} as days
    cross join lateral (
        values
        ('users', days.users),
        ('silent_hours', days.silent_hours)
    ) as metrics (metric, observed)
    where days.event_name = '(all)'

),

-- A rejected line has no day of its own that could be trusted, and a duplicate none that is new: theirs is the
-- arrival's. A file that is sent again says nothing new about its source.
landing_metrics as (

    select
        arrivals.tenant_id,
        arrivals.date,
        '(all)' as event_name,
        metrics.metric,
        metrics.observed,
        arrivals.received - arrivals.resent as base
    from {{ ref('event_reconciliation') }} as arrivals
    inner join {{ ref('stg_tenants') }} as tenants on arrivals.tenant_id = tenants.tenant_id
    cross join lateral (
        values
        (
            'duplicate_share',
            {{ ratio('(arrivals.duplicate - arrivals.resent_duplicate)', '(arrivals.received - arrivals.resent)') }}
        ),
        ('rejected_share', {{ ratio('arrivals.rejected', '(arrivals.received - arrivals.resent)') }})
    ) as metrics (metric, observed)
    where arrivals.received > arrivals.resent

),

final as (

    select * from event_metrics
    union all
    select * from tenant_metrics
    union all
    select * from landing_metrics

)

select * from final
