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

source as (

    select * from known
    where
        {{ exclusion('known', 'known.person_id') }} is null
        and {{ is_not_blocked('known') }}

),

matchers as (

    select * from {{ ref('stg_funnel_matchers') }}

),

strict_funnels as (

    select * from {{ ref('stg_funnels') }}
    where step_order = 'strict'

),

named as (

    select
        source.*,
        matchers.funnel_id,
        matchers.unit,
        matchers.breakdown,
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
        source.*,
        strict_funnels.funnel_id,
        strict_funnels.unit,
        strict_funnels.breakdown,
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
        candidates.tenant_id,
        candidates.funnel_id,
        candidates.event_id,
        candidates.event_name,
        case
            when candidates.unit = 'conversation'
                then coalesce(candidates.conversation_id, candidates.session_id)
            else candidates.person_id
        end as owner_id,
        candidates.unit,
        candidates.occurred_at,
        candidates.occurred_on,
        candidates.sequence,
        candidates.event_rank,
        bit_or(candidates.step_mask) as step_mask,
        bit_or(candidates.exclusion_mask) as exclusion_mask,
        case
            when candidates.breakdown is not null
                then ops.breakdown_value(candidates.breakdown, candidates.source, candidates.attributes)
        end as breakdown_value
    from candidates
    where case
        when candidates.unit = 'conversation'
            then coalesce(candidates.conversation_id, candidates.session_id)
        else candidates.person_id
    end is not null
    group by
        candidates.tenant_id,
        candidates.funnel_id,
        candidates.event_id,
        candidates.event_name,
        candidates.unit,
        candidates.conversation_id,
        candidates.session_id,
        candidates.person_id,
        candidates.source,
        candidates.attributes,
        candidates.occurred_at,
        candidates.occurred_on,
        candidates.sequence,
        candidates.event_rank,
        candidates.breakdown

)

select * from final
