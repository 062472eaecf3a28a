"""The queries of a report, by the part of it that they are for: each reads marts, for a tenant and a period."""

MOST_GAPS = 5
MOST_EXAMPLES = 3
MOST_ERRORS = 5
MOST_ANOMALIES = 6
MOST_COHORTS = 8
LEAST_COHORTS = 3  # fewer make no triangle

IN_PERIOD = "tenant_id = %(tenant)s and date between %(first)s and %(last)s"

PERIOD = """
    select
        metrics.total_conversations,
        metrics.resolution_rate,
        metrics.escalation_rate,
        metrics.abandonment_rate,
        metrics.p50_response_time_ms as response_time_ms_p50,
        metrics.p95_response_time_ms as response_time_ms_p95,
        metrics.p99_response_time_ms as response_time_ms_p99,
        coalesce(metrics.unanswered_turns, 0) as unanswered_turns,
        coalesce(metrics.unique_customers, 0) as unique_customers,
        metrics.avg_rating::double precision as avg_rating,
        coalesce(metrics.ratings, 0) as ratings,
        coalesce(lifecycle.active_users, 0) as active_users,
        coalesce(lifecycle.new_users, 0) as new_users
    from (select %(tenant)s::text as tenant_id, %(kind)s::text as period, %(first)s::date as period_start) as asked
    left join marts.period_metrics as metrics using (tenant_id, period, period_start)
    left join marts.user_lifecycle as lifecycle using (tenant_id, period, period_start)
"""

# the median of a range is not that of its days: from the histogram, within 1 %
SUM_OF_DAYS = f"""
    with days as (
        select
            sum(total_conversations)::bigint as total_conversations,
            coalesce(sum(unanswered_turns), 0)::bigint as unanswered_turns,
            (sum(resolved_conversations) / nullif(sum(answered), 0))::double precision as resolution_rate,
            (sum(escalated_conversations) / nullif(sum(answered), 0))::double precision as escalation_rate,
            (sum(abandoned_conversations) / nullif(sum(answered), 0))::double precision as abandonment_rate
        from (
            select *, total_conversations - no_reply_conversations as answered
            from marts.daily_metrics
            where {IN_PERIOD}
        ) as metrics
    ),
    buckets as (
        select
            bucket_ms,
            sum(sum(responses)) over (order by bucket) as up_to,
            sum(sum(responses)) over () as responses
        from marts.latency_histogram
        where {IN_PERIOD}
        group by bucket, bucket_ms
    )
    select
        days.*,
        (select min(bucket_ms) from buckets where up_to >= 0.50 * responses)::double precision as response_time_ms_p50,
        (select min(bucket_ms) from buckets where up_to >= 0.95 * responses)::double precision as response_time_ms_p95,
        (select min(bucket_ms) from buckets where up_to >= 0.99 * responses)::double precision as response_time_ms_p99
    from days
"""

# nothing sold is 0 for who sells, and no figure for who does not
FIGURES = (
    """
    select avg(overall_score)::double precision as overall_quality_score
    from marts.conversation_quality_scores
    where tenant_id = %(tenant)s and started_on between %(first)s and %(last)s
    """,
    f"""
    select (sum(searches_with_results) / nullif(sum(searches), 0))::double precision as kb_hit_rate
    from marts.kb_metrics
    where {IN_PERIOD}
    """,
    f"""
    select
        coalesce(sum(confirmed), 0)::bigint as bookings_confirmed,
        coalesce(sum(estimated_total), 0)::double precision as booking_value
    from marts.booking_metrics
    where {IN_PERIOD}
    having exists (select from marts.booking_metrics where tenant_id = %(tenant)s and requested + confirmed > 0)
    """,
    f"""
    select
        coalesce(sum(orders), 0)::bigint as orders,
        coalesce(sum(revenue), 0)::double precision as revenue,
        coalesce(sum(other_currency_orders), 0)::bigint as other_currency_orders
    from marts.commerce_metrics
    where {IN_PERIOD}
    having exists (select from marts.commerce_metrics where tenant_id = %(tenant)s and orders > 0)
    """,
)

DAYS = """
    select
        days.date::date as date,
        coalesce(metrics.total_conversations, 0) as conversations,
        metrics.resolution_rate,
        metrics.p50_response_time_ms as p50_ms,
        metrics.p95_response_time_ms as p95_ms,
        metrics.p99_response_time_ms as p99_ms,
        coalesce(users.dau, 0) as active_users
    from generate_series(%(first)s::date, %(last)s::date, '1 day') as days (date)
    left join marts.daily_metrics as metrics on metrics.tenant_id = %(tenant)s and metrics.date = days.date::date
    left join marts.active_users as users on users.tenant_id = %(tenant)s and users.date = days.date::date
    order by days.date
"""

SAVINGS = """
    select period_start, is_complete, savings, savings_low, savings_high, roi_percentage
    from marts.roi
    where tenant_id = %(tenant)s and period = 'month' and %(last)s between period_start and last_day
"""

# a funnel that nobody has ever gone beyond the first step of is not this tenant's
FUNNELS = """
    select
        now.funnel_id,
        now.funnel_name,
        now.step,
        now.step_name,
        now.reached,
        now.conversion_from_start,
        now.drop_off,
        before.conversion_from_start as previous_conversion
    from marts.funnels as now
    left join marts.funnels as before
        on
            now.tenant_id = before.tenant_id
            and now.funnel_id = before.funnel_id
            and now.period = before.period
            and now.breakdown_kind = before.breakdown_kind
            and now.step = before.step
            and before.period_start = %(before_first)s
    where
        now.tenant_id = %(tenant)s
        and now.period = %(kind)s
        and now.period_start = %(first)s
        and now.breakdown_kind = 'all'
        and exists (
            select from marts.funnels as ever
            where
                ever.tenant_id = %(tenant)s
                and ever.funnel_id = now.funnel_id
                and ever.period = 'all'
                and ever.breakdown_kind = 'all'
                and ever.step > 1
                and ever.reached > 0
        )
    order by now.funnel_id, now.step
"""

RETENTION = f"""
    with cells as (
        select *
        from marts.cohort_retention
        where
            tenant_id = %(tenant)s
            and period = %(cohorts)s
            and breakdown_kind = 'all'
            and is_complete
            and period_start <= %(last)s
    ),
    largest as (
        select cohort_id
        from cells
        where period_index = 0
        group by cohort_id
        having count(*) >= {LEAST_COHORTS}
        order by sum(cohort_size) desc, cohort_id
        limit 1
    )
    select cohort_name, cohort_start, cohort_size, period_index, retention_rate::double precision as retention_rate
    from cells
    where
        cohort_id = (select cohort_id from largest)
        and cohort_start > (
            select case
                when %(cohorts)s = 'month' then max(cohort_start) - interval '{MOST_COHORTS} months'
                else max(cohort_start) - interval '{MOST_COHORTS} weeks'
            end
            from cells
            where cohort_id = (select cohort_id from largest)
        )
    order by cohort_start, period_index
"""

GAPS = f"""
    select
        topic,
        frequency,
        customers,
        (first_seen_at at time zone %(zone)s)::date >= %(first)s as is_new,
        example_questions[:{MOST_EXAMPLES}] as example_questions
    from marts.content_gaps
    where
        tenant_id = %(tenant)s
        and status <> 'resolved'
        and (first_seen_at at time zone %(zone)s)::date <= %(last)s
        and (last_seen_at at time zone %(zone)s)::date >= %(first)s
    order by frequency desc, topic, gap_id
    limit {MOST_GAPS}
"""

TOOLS = """
    select
        tool_name,
        coalesce(sum(calls) filter (where date >= %(first)s), 0)::bigint as calls,
        coalesce(sum(failed) filter (where date >= %(first)s), 0)::bigint as failed,
        (
            sum(succeeded) filter (where date >= %(first)s)
            / nullif(sum(succeeded + failed) filter (where date >= %(first)s), 0)
        )::double precision as success_rate,
        (
            sum(succeeded) filter (where date < %(first)s)
            / nullif(sum(succeeded + failed) filter (where date < %(first)s), 0)
        )::double precision as previous_success_rate
    from marts.tool_metrics
    where tenant_id = %(tenant)s and date between %(before_first)s and %(last)s
    group by tool_name
    order by calls desc, tool_name
"""

ERRORS = f"""
    select
        error_class,
        coalesce(sum(errors) filter (where date >= %(first)s), 0)::bigint as errors,
        coalesce(sum(errors) filter (where date < %(first)s), 0)::bigint as previous_errors
    from marts.error_metrics
    where tenant_id = %(tenant)s and date between %(before_first)s and %(last)s
    group by error_class
    having sum(errors) > 0
    order by errors desc, previous_errors desc, error_class
    limit {MOST_ERRORS}
"""

LANDED = f"""
    select
        sum(received)::bigint as received,
        sum(accepted)::bigint as accepted,
        sum(duplicate)::bigint as duplicate,
        sum(rejected)::bigint as rejected,
        sum(no_consent)::bigint as no_consent,
        sum(erased_subject)::bigint as erased_subject,
        sum(blocked_events)::bigint as blocked_events,
        bool_and(is_accounted_for) as is_accounted_for
    from marts.event_reconciliation
    where {IN_PERIOD}
    having sum(received) > 0
"""

REJECTED = """
    select reason, count(*) as lines, mode() within group (order by message) as example
    from raw.rejected_events
    where
        tenant_id = %(tenant)s
        and replayed_by is null
        and (received_at at time zone %(zone)s)::date between %(first)s and %(last)s
    group by reason
    order by lines desc, reason
"""

ANOMALIES = f"""
    select date, event_name, metric, observed, expected, severity, details
    from marts.input_anomalies
    where {IN_PERIOD} and is_anomaly
    order by severity, abs(score) desc, date desc, event_name, metric
    limit {MOST_ANOMALIES}
"""

ALERTS = """
    select severity, coalesce(description, rule_id) as description, detail, since
    from marts.alerts
    where tenant_id = %(tenant)s and is_firing
    order by array_position(array['critical', 'warning', 'info'], severity), since desc, alert_id
"""
