{{ config(
    materialized='table',
    unique_key=['tenant_id'],
) }}

-- The only table that looks at all tenants side by side. Built from daily sums, so it is small.

with tenants as (

    select * from {{ ref('stg_tenants') }}

),

users as (

    select
        tenant_id,
        count(*) as customers
    from {{ ref('customers') }}
    group by tenant_id

),

events as (

    select
        tenant_id,
        min(date) as first_event_on,
        max(date) as last_event_on,
        sum(events)::bigint as events
    from {{ ref('event_days') }}
    group by tenant_id

),

conversations as (

    select
        tenant_id,
        sum(total_conversations)::bigint as conversations
    from {{ ref('daily_metrics') }}
    group by tenant_id

),

landed as (

    select
        tenant_id,
        sum(received - resent)::bigint as received_first,
        sum(rejected)::bigint as rejected
    from {{ ref('event_reconciliation') }}
    group by tenant_id

),

final as (

    select
        tenants.tenant_id,
        tenants.name,
        tenants.time_zone,
        tenants.is_configured,
        currencies.currency,
        first_event.occurred_at as first_event_at,
        last_event.occurred_at as last_event_at,
        coalesce(events.events, 0) as events,
        coalesce(conversations.conversations, 0) as conversations,
        coalesce(users.customers, 0) as customers,
        {{ ratio('landed.rejected', 'landed.received_first') }} as rejected_share
    from tenants
    left join {{ ref('tenant_currencies') }} as currencies on tenants.tenant_id = currencies.tenant_id
    left join users on tenants.tenant_id = users.tenant_id
    left join events on tenants.tenant_id = events.tenant_id
    left join conversations on tenants.tenant_id = conversations.tenant_id
    left join landed on tenants.tenant_id = landed.tenant_id
    left join lateral (
        select min(staged.occurred_at) as occurred_at from {{ ref('stg_events') }} as staged
        where staged.tenant_id = tenants.tenant_id and staged.occurred_on = events.first_event_on
    ) as first_event on true
    left join lateral (
        select max(staged.occurred_at) as occurred_at from {{ ref('stg_events') }} as staged
        where staged.tenant_id = tenants.tenant_id and staged.occurred_on = events.last_event_on
    ) as last_event on true

)

select * from final
