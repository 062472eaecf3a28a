{{ config(
    materialized='table',
    unique_key=['tenant_id', 'channel'],
) }}

with sources as (

    select
        tenant_id,
        channel,
        max(date) as last_event_on,
        max(received_on) as last_received_on
    from {{ ref('event_days') }}
    group by tenant_id, channel

),

timed as (

    select
        sources.tenant_id,
        sources.channel,
        newest.occurred_at as last_event_at,
        sources.last_received_on,
        {{ seconds_between('newest.occurred_at', as_of()) }}::double precision / 3600 as silence_hours
    from sources
    left join lateral (
        select max(staged.occurred_at) as occurred_at
        from {{ ref('stg_events') }} as staged
        where
            staged.tenant_id = sources.tenant_id
            and staged.occurred_on = sources.last_event_on
            and staged.channel = sources.channel
    ) as newest on true

),

final as (

    select
        timed.tenant_id,
        timed.channel,
        timed.last_event_at,
        timed.last_received_on,
        timed.silence_hours,
        settings.max_silence_hours,
        coalesce(timed.silence_hours > settings.max_silence_hours, false) as is_stale
    from timed
    left join lateral
        {{ best_setting(ref('freshness_settings'), 'timed', ['tenant_id', 'channel']) }} as settings on true

)

select * from final
