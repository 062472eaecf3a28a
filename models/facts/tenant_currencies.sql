{{ config(materialized='view') }}

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

-- what a tenant was first paid in
first_paid as (

    select distinct on (tenant_id)
        tenant_id,
        currency
    from {{ ref('currency_days') }}
    order by tenant_id, date, first_at, currency

),

final as (

    select
        tenants.tenant_id,
        coalesce(tenants.currency, first_paid.currency, 'USD') as currency,
        tenants.currency is not null as is_configured
    from tenants
    left join first_paid on tenants.tenant_id = first_paid.tenant_id

)

select * from final
