{{ config(
    materialized='incremental',
    incremental_strategy='rebuild',
    unique_key=['tenant_id', 'experiment', 'metric', 'user_id'],
    indexes=[
        {'columns': ['tenant_id', 'experiment', 'metric', 'user_id'], 'unique': true},
        {'columns': ['tenant_id', 'user_id']},
    ],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'experiment_units': 'user', 'orders': 'buyer', 'conversations': 'user', 'funnel_attempts': 'owner'},
        'definitions': ['experiment_metrics'],
        'publishes': {'experiment': {'id': 'experiment'}},
    }}
) }}

with metrics as (

    select
        *,
        window_days * interval '1 day' as outcome_window
    from {{ ref('experiment_metrics') }}

),

units as (

    select
        units.tenant_id,
        units.experiment,
        units.user_id,
        units.exposed_at,
        metrics.metric,
        metrics.kind,
        metrics.source,
        metrics.funnel_id,
        units.exposed_at + metrics.outcome_window as until
    from {{ ref('experiment_units') }} as units
    {{ only_touched('units') }}
    inner join metrics on metrics.experiment in ('*', units.experiment)

),

-- a metric's value of one user: what began after the exposure and within the window
valued as (

    select
        units.tenant_id,
        units.experiment,
        units.metric,
        units.kind,
        units.user_id,
        case units.source
            when 'revenue' then bought.revenue
            when 'orders' then bought.orders
            when 'resolved' then talked.resolved
            when 'funnel' then passed.conversions
        end as value
    from units
    left join lateral (
        select
            count(*)::numeric as orders,
            sum(orders.revenue) as revenue
        from {{ ref('orders') }} as orders
        where
            units.source in ('orders', 'revenue')
            and orders.tenant_id = units.tenant_id
            and orders.completed_user_id = units.user_id
            and orders.ordered_at >= units.exposed_at
            and orders.ordered_at <= units.until
    ) as bought on true
    left join lateral (
        select count(*)::numeric as resolved
        from {{ ref('conversations') }} as conversations
        where
            units.source = 'resolved'
            and conversations.tenant_id = units.tenant_id
            and conversations.user_id = units.user_id
            and conversations.outcome = 'resolved'
            and conversations.started_at >= units.exposed_at
            and conversations.started_at <= units.until
    ) as talked on true
    left join lateral (
        select count(*)::numeric as conversions
        from {{ ref('funnel_attempts') }} as attempts
        where
            units.source = 'funnel'
            and attempts.tenant_id = units.tenant_id
            and attempts.owner_id = units.user_id
            and attempts.funnel_id = units.funnel_id
            and attempts.is_converted
            and attempts.entered_at >= units.exposed_at
            and attempts.entered_at <= units.until
    ) as passed on true

),

final as (

    select
        tenant_id,
        experiment,
        metric,
        user_id,
        case when kind = 'proportion' then least(value, 1) else value end::numeric(20, 4) as value
    from valued
    where value <> 0

)

select * from final
