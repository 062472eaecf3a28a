{{ config(
    unique_key=['tenant_id', 'experiment', 'metric', 'variant'],
    meta={'rebuild': {
        'key': {'experiment': 'id'},
        'reads': {'experiment_units': 'experiment', 'experiment_values': 'experiment'},
    }}
) }}

with variants as (

    select * from {{ ref('experiment_variants') }}

),

metrics as (

    select * from {{ ref('experiment_metrics') }}

),

units as (

    select units.*
    from {{ ref('experiment_units') }} as units
    {{ only_affected('units') }}

),

values_of_users as (

    select outcomes.*
    from {{ ref('experiment_values') }} as outcomes
    {{ only_affected('outcomes') }}

),

-- users who saw several variants are set apart
multiple as (

    select
        tenant_id,
        experiment,
        count(*) filter (where has_seen_several) as multiple_exposures
    from units
    group by tenant_id, experiment

),

arms as (

    select
        multiple.tenant_id,
        multiple.experiment,
        multiple.multiple_exposures,
        variants.variant,
        variants.is_control,
        variants.weight,
        metrics.metric,
        metrics.kind
    from multiple
    inner join variants on multiple.experiment = variants.experiment
    inner join metrics on metrics.experiment in ('*', multiple.experiment)

),

final as (

    select
        arms.tenant_id,
        arms.experiment,
        arms.metric,
        arms.variant,
        arms.kind,
        arms.is_control,
        arms.weight,
        count(units.user_id) as users,
        count(values_of_users.value) as conversions,
        coalesce(sum(values_of_users.value), 0)::double precision as total,
        coalesce(sum(values_of_users.value * values_of_users.value), 0)::double precision as total_squares,
        arms.multiple_exposures
    from arms
    left join units
        on
            arms.tenant_id = units.tenant_id
            and arms.experiment = units.experiment
            and arms.variant = units.variant
            and not units.has_seen_several
    left join values_of_users
        on
            units.tenant_id = values_of_users.tenant_id
            and units.experiment = values_of_users.experiment
            and units.user_id = values_of_users.user_id
            and arms.metric = values_of_users.metric
    group by
        arms.tenant_id,
        arms.experiment,
        arms.metric,
        arms.variant,
        arms.kind,
        arms.is_control,
        arms.weight,
        arms.multiple_exposures

)

select * from final
