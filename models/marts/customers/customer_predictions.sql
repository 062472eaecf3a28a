{{ config(
    materialized='table',
    unique_key=['tenant_id', 'user_id'],
) }}

select
    tenant_id,
    user_id,
    probability_alive,
    churn_probability,
    expected_orders_90d,
    expected_order_value,
    expected_revenue_90d,
    lifetime_value_to_date,
    predicted_lifetime_value,
    model,
    fitted_at,
    reason
from {{ source('analyses', 'customer_predictions') }}
