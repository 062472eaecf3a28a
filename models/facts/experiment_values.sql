{{ config(
    unique_key=['tenant_id', 'experiment', 'metric', 'user_id'],
    indexes=[{'columns': ['tenant_id', 'user_id']}],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'experiment_units': 'user', 'orders': 'buyer', 'conversations': 'user', 'funnel_attempts': 'owner'},
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
        metrics.metric,
        metrics.kind,
        metrics.source,
        metrics.funnel_id,
        units.exposed_at,
        units.exposed_at + metrics.outcome_window as until
    from {{ ref('experiment_units') }} as units
    {{ only_affected('units') }}
    inner join metrics on metrics.experiment in ('*', units.experiment)

),

bought as (

    select
        orders.tenant_id,
        orders.completed_user_id as user_id,
        orders.ordered_at as occurred_at,
        counted.source,
        counted.value
    from {{ ref('orders') }} as orders
    {{ only_affected('orders', user_id='completed_user_id') }}
    cross join lateral (values ('orders', 1), ('revenue', orders.revenue)) as counted (source, value)

),

talked as (

    select
        conversations.tenant_id,
        conversations.user_id,
        conversations.started_at as occurred_at,
        'resolved' as source,
        1 as value
    from {{ ref('conversations') }} as conversations
    {{ only_affected('conversations') }}
    where conversations.outcome = 'resolved'

),

passed as (

    select
        attempts.tenant_id,
        attempts.owner_id as user_id,
        attempts.entered_at as occurred_at,
        'funnel' as source,
        1 as value,
        attempts.funnel_id
    from {{ ref('funnel_attempts') }} as attempts
    {{ only_affected('attempts', user_id='owner_id') }}
    where attempts.is_converted

),

outcomes as (

    select *, null as funnel_id from bought
    union all
    select *, null as funnel_id from talked
    union all
    select * from passed

),

-- a metric's value of one user: what began after the exposure and within the window
valued as (

    select
        units.tenant_id,
        units.experiment,
        units.metric,
        units.kind,
        units.user_id,
        sum(outcomes.value) as value
    from units
    inner join outcomes
        on
            units.tenant_id = outcomes.tenant_id
            and units.user_id = outcomes.user_id
            and units.source = outcomes.source
            and (units.source <> 'funnel' or units.funnel_id = outcomes.funnel_id)
            and outcomes.occurred_at between units.exposed_at and units.until
    group by units.tenant_id, units.experiment, units.metric, units.kind, units.user_id

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
