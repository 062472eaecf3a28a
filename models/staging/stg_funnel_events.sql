-- depends_on: {{ ref('stg_events') }}
{{ config(
    unique_key=['tenant_id', 'event_id', 'funnel_id'],
    indexes=[{'columns': ['tenant_id', 'owner_id', 'funnel_id']}],
    meta={'rebuild': {
        'key': {'event_id': 'event_id'},
        'reads': {'raw': 'batch', 'stg_visitor_users': 'visitor', 'stg_blocked_days': 'tenant_day'},
        'affected_by': 'affected_new_events',
        'definitions': ['stg_funnels', 'stg_funnel_matchers', 'stg_event_types'],
        'publishes': {'owner': {'id': 'owner_id'}},
        'beside': {'stg_events': 'built before, so that it says how far raw is taken in'},
        'date': 'occurred_on',
        'until': '{row}.occurred_on',
    }}
) }}

with known as (

    {{ known_events(new_or_all_events()) }}

),

matchers as (

    select * from {{ ref('stg_funnel_matchers') }}

),

strict_funnels as (

    select * from {{ ref('stg_funnels') }}
    where step_order = 'strict'

),

source as (

    select
        tenant_id,
        event_id,
        event_name,
        coalesce(conversation_id, session_id) as conversation_id,
        person_id,
        source,
        attributes,
        occurred_at,
        occurred_on,
        sequence,
        event_rank
    from known
    where
        (event_name in (select event_name from matchers) or exists (select from strict_funnels))
        and {{ exclusion('known', 'known.person_id') }} is null
        and {{ is_not_blocked('known') }}

),

named as (

    select
        {{ columns_of_funnel_event('matchers') }},
        matchers.step_mask,
        matchers.exclusion_mask
    from source
    inner join matchers
        on source.event_name = matchers.event_name and matchers.for_tenant in ('*', source.tenant_id)
    where matchers.predicate is null or {{ satisfies('source.attributes', 'matchers.predicate') }}

),

-- a strict funnel breaks at any other event of the unit, so it needs them all
unnamed as (

    select
        {{ columns_of_funnel_event('strict_funnels') }},
        0 as step_mask,
        0 as exclusion_mask
    from source
    inner join strict_funnels on strict_funnels.for_tenant in ('*', source.tenant_id)

),

candidates as (

    select * from named
    union all
    select * from unnamed

),

final as (

    select
        tenant_id,
        funnel_id,
        event_id,
        event_name,
        owner_id,
        unit,
        occurred_at,
        occurred_on,
        sequence,
        event_rank,
        bit_or(step_mask) as step_mask,
        bit_or(exclusion_mask) as exclusion_mask,
        breakdown_value
    from candidates
    where owner_id is not null
    group by
        tenant_id,
        funnel_id,
        event_id,
        event_name,
        owner_id,
        unit,
        occurred_at,
        occurred_on,
        sequence,
        event_rank,
        breakdown_value

)

select * from final
