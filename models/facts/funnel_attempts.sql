{{ config(
    unique_key=['tenant_id', 'funnel_id', 'unit_id', 'entry_event_id'],
    indexes=[
        {'columns': ['tenant_id', 'owner_id']},
        {'columns': ['tenant_id', 'funnel_id', 'entered_on']},
        {'columns': ['window_ends_at']},
    ],
    meta={'rebuild': {
        'key': {'owner_id': 'id'},
        'reads': {'stg_funnel_events': 'owner', 'sessions': 'user'},
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

events as (

    select events.*
    from {{ ref('stg_funnel_events') }} as events
    {{ only_affected('events') }}

),

sessions as (

    select sessions.*
    from {{ ref('sessions') }} as sessions
    {{ only_affected('sessions', owner_id='user_id') }}

),

in_units as (

    select
        events.*,
        events.owner_id as unit_id
    from events
    where events.unit <> 'session'
    union all
    select
        events.*,
        sessions.session_id::text as unit_id
    from events
    inner join sessions
        on
            events.tenant_id = sessions.tenant_id
            and events.owner_id = sessions.user_id
            and events.occurred_at between sessions.started_at and sessions.ended_at
    where events.unit = 'session'

),

-- what each unit did, in order; `all_events` cuts it by value first
units as (

    select
        in_units.tenant_id,
        in_units.funnel_id,
        in_units.owner_id,
        in_units.unit_id,
        array_agg(in_units.event_id order by {{ event_order('in_units') }}) as event_ids,
        array_agg(in_units.occurred_at order by {{ event_order('in_units') }}) as occurred_at,
        array_agg(in_units.occurred_on order by {{ event_order('in_units') }}) as occurred_on,
        array_agg(in_units.step_mask order by {{ event_order('in_units') }}) as step_masks,
        array_agg(in_units.exclusion_mask order by {{ event_order('in_units') }}) as exclusion_masks,
        array_agg(in_units.breakdown_value order by {{ event_order('in_units') }}) as breakdown_values
    from in_units
    inner join funnels on in_units.funnel_id = funnels.funnel_id
    group by
        in_units.tenant_id,
        in_units.funnel_id,
        in_units.owner_id,
        in_units.unit_id,
        case when funnels.breakdown_touch = 'all_events' then in_units.breakdown_value end
    having bit_or(in_units.step_mask) <> 0

),

final as (

    select
        units.tenant_id,
        units.funnel_id,
        units.owner_id,
        units.unit_id,
        units.event_ids[attempts.entry] as entry_event_id,
        units.occurred_at[attempts.entry] as entered_at,
        units.occurred_on[attempts.entry] as entered_on,
        units.occurred_at[attempts.entry] + funnels.conversion_window as window_ends_at,
        cardinality(attempts.reached_at) as reached,
        funnels.steps,
        cardinality(attempts.reached_at) = funnels.steps as is_converted,
        attempts.reached_at,
        attempts.served_mask,
        case
            when attempts.breakdown_value is not null then 'value'
            when attempts.is_grouped then 'none'
        end as breakdown_kind,
        attempts.breakdown_value
    from units
    inner join funnels on units.funnel_id = funnels.funnel_id
    cross join lateral ops.funnel_attempts(
        funnels.step_order,
        funnels.ties = 'after',
        funnels.steps,
        funnels.required_steps,
        funnels.conversion_window,
        funnels.exclusion_after,
        funnels.exclusion_before,
        funnels.breakdown_touch,
        funnels.breakdown_step,
        units.occurred_at,
        units.step_masks,
        units.exclusion_masks,
        units.breakdown_values
    ) as attempts

)

select * from final
