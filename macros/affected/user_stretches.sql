{#-
    `affected_by` of facts.sessions: per user, the stretches of time in which sessions may have changed. A changed day reaches to
    both sides as far as a session could bridge, and takes in whole the existing sessions it meets; what lies beyond is
    further away than the gap and stays. So one late event of a heavy user costs that user's neighbouring sessions only.
-#}
{% macro affected_user_stretches(spec) %}
    with changed_days as (
        select distinct changed.tenant_id, changed.id as user_id, changed.date
        from ({{ changed(spec) }}) as changed
        where changed.id is not null and changed.date is not null
    ),

    reach as (
        select
            days.tenant_id,
            days.user_id,
            {{ local_midnight('days.date', 'tenants.time_zone') }}
            - tenants.session_gap_seconds * interval '1 second' as from_at,
            {{ local_midnight('days.date + 1', 'tenants.time_zone') }}
            + tenants.session_gap_seconds * interval '1 second' as to_at
        from changed_days as days
        inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    ),

    stretches as (
        select
            reach.tenant_id,
            reach.user_id,
            least(reach.from_at, before.started_at) as from_at,
            greatest(reach.to_at, before.ended_at, within.ended_at) as to_at
        from reach
        left join lateral (
            -- a user's sessions follow one another: only the last one before can reach in
            select started_at, ended_at
            from (
                select started_at, ended_at
                from {{ this }} as sessions
                where
                    sessions.tenant_id = reach.tenant_id
                    and sessions.user_id = reach.user_id
                    and sessions.started_at < reach.from_at
                order by started_at desc
                limit 1
            ) as last_one
            where ended_at >= reach.from_at
        ) as before on true
        left join lateral (
            select max(ended_at) as ended_at
            from {{ this }} as sessions
            where
                sessions.tenant_id = reach.tenant_id
                and sessions.user_id = reach.user_id
                and sessions.started_at between reach.from_at and reach.to_at
        ) as within on true
        {% for condition in reread_conditions(spec, spec.date) %}
        union all
        select tenant_id, user_id, started_at, ended_at from {{ this }} where {{ condition }}
        {% endfor %}
    ),

    -- stretches that overlap are one
    marked as (
        select
            *,
            from_at > max(to_at) over (
                partition by tenant_id, user_id
                order by from_at, to_at
                rows between unbounded preceding and 1 preceding
            ) as begins
        from stretches
    ),

    numbered as (
        select
            *,
            count(*) filter (where begins) over (
                partition by tenant_id, user_id
                order by from_at, to_at
                rows between unbounded preceding and current row
            ) as stretch
        from marked
    ),

    merged as (
        select tenant_id, user_id, min(from_at) as from_at, max(to_at) as to_at
        from numbered
        group by tenant_id, user_id, stretch
    )

    select
        merged.*,
        {{ local_date('merged.from_at', 'tenants.time_zone') }} as from_on,
        {{ local_date('merged.to_at', 'tenants.time_zone') }} as to_on
    from merged
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
{% endmacro %}
