{{ config(materialized='view') }}

-- A view, as alerts are evaluated after the build: a table would be a build behind.

with alerts as (

    select * from {{ source('alerts', 'alerts') }}

),

rules as (

    select * from {{ ref('alert_rules') }}

),

final as (

    select
        alerts.tenant_id,
        alerts.rule_id,
        alerts.subject,
        alerts.alert_id,
        alerts.state,
        alerts.state in ('FIRING', 'ACKNOWLEDGED') as is_firing,
        alerts.since,
        alerts.severity,
        coalesce(own_rules.description, common_rules.description) as description,
        alerts.detail,
        alerts.observed,
        alerts.expected,
        alerts.day,
        alerts.evaluated_at,
        alerts.incident as incidents,
        alerts.fired_at,
        alerts.acknowledged_at,
        alerts.acknowledged_by,
        alerts.note
    from alerts
    left join rules as own_rules
        on alerts.rule_id = own_rules.rule_id and alerts.tenant_id = own_rules.tenant_id
    left join rules as common_rules
        on alerts.rule_id = common_rules.rule_id and common_rules.tenant_id = '*'

)

select * from final
