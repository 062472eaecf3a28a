{{ config(
    materialized='table',
    unique_key=['tenant_id', 'event_name', 'metric', 'date'],
    indexes=[{'columns': ['tenant_id', 'date']}],
) }}

with analysed as (

    select * from {{ source('analyses', 'input_anomalies') }}

),

-- of the days that are over, which are those analysed
drifted as (

    select
        changes.tenant_id,
        changes.date,
        changes.event_name,
        settings.threshold,
        settings.training_days,
        count(*)::double precision as changed_fields,
        bool_or(changes.change = 'lost') as is_lost,
        string_agg(
            changes.field || ' (' || changes.json_type || '): ' || changes.change,
            ', '
            order by changes.field, changes.json_type
        ) as details
    from {{ ref('field_changes') }} as changes
    inner join analysed
        on
            changes.tenant_id = analysed.tenant_id
            and changes.event_name = analysed.event_name
            and changes.date = analysed.date
            and analysed.metric = 'events'
    inner join lateral
        {{ best_setting(
            ref('anomaly_settings'), 'changes', ['tenant_id', 'event_name'], where="metric = 'changed_fields'"
        ) }} as settings on true
    group by changes.tenant_id, changes.date, changes.event_name, settings.threshold, settings.training_days

),

final as (

    select
        tenant_id,
        date,
        event_name,
        metric,
        observed,
        expected,
        lower,
        upper,
        score,
        direction,
        is_anomaly,
        severity,
        training_days,
        reason,
        null as details
    from analysed
    union all
    select
        tenant_id,
        date,
        event_name,
        'changed_fields' as metric,
        changed_fields as observed,
        0 as expected,
        0 as lower,
        0 as upper,
        changed_fields as score,
        'up' as direction,
        changed_fields >= threshold as is_anomaly,
        case
            when changed_fields >= threshold and is_lost then 'critical'
            when changed_fields >= threshold then 'warning'
        end as severity,
        training_days,
        null as reason,
        details
    from drifted

)

select * from final
