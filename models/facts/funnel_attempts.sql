{{ config(
    materialized='incremental',
    incremental_strategy='rebuild',
    unique_key=['tenant_id', 'funnel_id', 'unit_id', 'entry_event_id'],
    indexes=[
        {'columns': ['tenant_id', 'funnel_id', 'unit_id', 'entry_event_id'], 'unique': true},
        {'columns': ['tenant_id', 'owner_id']},
        {'columns': ['tenant_id', 'funnel_id', 'entered_on']},
        {'columns': ['window_ends_at']},
    ],
    meta={'rebuild': {
        'key': {'owner_id': 'id'},
        'reads': {'funnel_instants': 'owner', 'stg_funnel_events': 'owner'},
        'definitions': ['stg_funnels', 'funnel_exclusions'],
        'publishes': {
            'owner': {'id': 'owner_id'},
            'entry': {'id': 'funnel_id', 'date': 'entered_on'},
        },
        'date': 'entered_on',
    }}
) }}

with funnels as (

    select * from {{ ref('stg_funnels') }}

),

exclusions as (

    select * from {{ ref('funnel_exclusions') }}

),

step_sets as (

    {{ step_sets(most_funnel_steps()) }}

),

events as (

    select events.*
    from {{ ref('stg_funnel_events') }} as events
    {{ only_touched('events') }}

),

instants as (

    select instants.*
    from {{ ref('funnel_instants') }} as instants
    {{ only_touched('instants') }}

),

{{ ordered_attempts(most_funnel_steps()) }},

{{ unordered_attempts() }},

attempts as (

    select * from ordered_attempts
    union all
    select * from unordered_attempts

),

-- an exclusion between two steps, after the one and before the other, voids the attempt
voided as (

    select distinct
        attempts.tenant_id,
        attempts.funnel_id,
        attempts.unit_id,
        attempts.event_id,
        attempts.positions
    from attempts
    inner join exclusions
        on attempts.funnel_id = exclusions.funnel_id and attempts.reached >= exclusions.before_step
    inner join instants
        on
            attempts.tenant_id = instants.tenant_id
            and attempts.funnel_id = instants.funnel_id
            and attempts.unit_id = instants.unit_id
            and attempts.positions[exclusions.after_step] = instants.position
    where instants.next_of_exclusion[exclusions.exclusion] < attempts.positions[exclusions.before_step]

),

valid as (

    select distinct on (attempts.tenant_id, attempts.funnel_id, attempts.unit_id, attempts.event_id) attempts.*
    from attempts
    left join voided
        on
            attempts.tenant_id = voided.tenant_id
            and attempts.funnel_id = voided.funnel_id
            and attempts.unit_id = voided.unit_id
            and attempts.event_id = voided.event_id
            and attempts.positions = voided.positions
    where voided.event_id is null
    order by
        attempts.tenant_id asc,
        attempts.funnel_id asc,
        attempts.unit_id asc,
        attempts.event_id asc,
        attempts.reached desc,
        attempts.reached_at[attempts.reached] asc,
        attempts.reached_at asc

),

-- the event whose breakdown value an attempt takes, where that is not the opening one
attributed as (

    select distinct on (valid.tenant_id, valid.funnel_id, valid.unit_id, valid.event_id)
        valid.tenant_id,
        valid.funnel_id,
        valid.unit_id,
        valid.event_id,
        events.breakdown_value
    from valid
    inner join funnels on valid.funnel_id = funnels.funnel_id
    inner join events
        on
            valid.tenant_id = events.tenant_id
            and valid.funnel_id = events.funnel_id
            and valid.owner_id = events.owner_id
            and events.occurred_at
            = valid.reached_at[case funnels.breakdown_touch when 'last' then valid.reached else funnels.breakdown_step end]
    where
        funnels.breakdown_touch in ('last', 'step')
        and case
            when funnels.step_order = 'unordered' then events.step_mask <> 0
            else
                events.step_mask
                & (1 << (case funnels.breakdown_touch when 'last' then valid.reached else funnels.breakdown_step end - 1))
                <> 0
        end
    order by
        valid.tenant_id asc,
        valid.funnel_id asc,
        valid.unit_id asc,
        valid.event_id asc,
        events.event_id asc

),

final as (

    select
        valid.tenant_id,
        valid.funnel_id,
        valid.owner_id,
        valid.unit_id,
        valid.event_id as entry_event_id,
        valid.entered_at,
        valid.entered_on,
        valid.entered_at + funnels.conversion_window as window_ends_at,
        valid.reached,
        funnels.steps,
        valid.reached = funnels.steps as is_converted,
        valid.reached_at,
        case
            when funnels.breakdown is null then null
            when funnels.breakdown_touch = 'first' then coalesce(valid.breakdown_value, '(none)')
            else coalesce(attributed.breakdown_value, '(none)')
        end as breakdown_value
    from valid
    inner join funnels on valid.funnel_id = funnels.funnel_id
    left join attributed
        on
            valid.tenant_id = attributed.tenant_id
            and valid.funnel_id = attributed.funnel_id
            and valid.unit_id = attributed.unit_id
            and valid.event_id = attributed.event_id

)

select * from final
