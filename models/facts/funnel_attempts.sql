{{ config(
    unique_key=['tenant_id', 'funnel_id', 'unit_id', 'entry_event_id'],
    indexes=[
        {'columns': ['tenant_id', 'owner_id']},
        {'columns': ['tenant_id', 'funnel_id', 'entered_on']},
        {'columns': ['window_ends_at']},
    ],
    meta={'rebuild': {
        'key': {'owner_id': 'id'},
        'reads': {'funnel_instants': 'owner', 'stg_funnel_events': 'owner'},
        'definitions': ['stg_funnels'],
        'publishes': {
            'owner': {'id': 'owner_id'},
            'entry': {'id': 'funnel_id', 'date': 'entered_on'},
        },
        'date': 'entered_on',
        'until': local_date('{row}.window_ends_at', 'tenants.time_zone'),
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
    {{ only_affected('events') }}

),

instants as (

    select instants.*
    from {{ ref('funnel_instants') }} as instants
    {{ only_affected('instants') }}

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

-- the step whose breakdown value an attempt takes
credited as (

    select
        valid.*,
        funnels.step_order,
        case funnels.breakdown_touch
            when 'last' then valid.reached
            when 'step' then funnels.breakdown_step
            else 1
        end as credited_step
    from valid
    inner join funnels on valid.funnel_id = funnels.funnel_id

),

-- and the event that served it, where that is not the opening one, which serves step one and no other
attributed as (

    select distinct on (credited.tenant_id, credited.funnel_id, credited.unit_id, credited.event_id)
        credited.tenant_id,
        credited.funnel_id,
        credited.unit_id,
        credited.event_id,
        events.breakdown_value
    from credited
    inner join events
        on
            credited.tenant_id = events.tenant_id
            and credited.funnel_id = events.funnel_id
            and credited.owner_id = events.owner_id
            and credited.reached_at[credited.credited_step] = events.occurred_at
            and credited.event_id <> events.event_id
    where
        credited.credited_step > 1
        and case
            when credited.step_order = 'unordered' then events.step_mask <> 0
            else events.step_mask & (1 << (credited.credited_step - 1)) <> 0
        end
    order by
        credited.tenant_id asc,
        credited.funnel_id asc,
        credited.unit_id asc,
        credited.event_id asc,
        events.event_id asc

),

final as (

    select
        credited.tenant_id,
        credited.funnel_id,
        credited.owner_id,
        credited.unit_id,
        credited.event_id as entry_event_id,
        credited.entered_at,
        credited.entered_on,
        credited.entered_at + funnels.conversion_window as window_ends_at,
        credited.reached,
        funnels.steps,
        credited.reached = funnels.steps as is_converted,
        credited.reached_at,
        case
            when funnels.breakdown is null then null
            when credited.credited_step = 1 then coalesce(credited.breakdown_value, '(none)')
            else coalesce(attributed.breakdown_value, '(none)')
        end as breakdown_value
    from credited
    inner join funnels on credited.funnel_id = funnels.funnel_id
    left join attributed
        on
            credited.tenant_id = attributed.tenant_id
            and credited.funnel_id = attributed.funnel_id
            and credited.unit_id = attributed.unit_id
            and credited.event_id = attributed.event_id

)

select * from final
