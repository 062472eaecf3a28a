{#-
    `affected_by` of staging.stg_events, where events enter the build: the new events themselves, so that the landing
    tables are read once and by index. New are the batches after the watermark; beside them the events of visitors of whom
    it has become known who they are, those of days that the input gate has blocked or let through, the days of --from/--to
    and all events of tenants whose settings changed.
-#}
{% macro affected_new_events(spec) %}
    {% set rereads = reread_conditions(spec, local_date('occurred_at', 'tenants.time_zone'), 'occurred_at') %}
    select events.*
    from {{ source('raw', 'events') }} as events
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = 'raw'
    inner join pg_temp.taken on taken.upstream = watermarks.upstream
    where events.batch_id > watermarks.position and events.batch_id <= taken.position
    {{ 'union' if rereads else 'union all' }} (
    select events.*
    from {{ source('raw', 'events') }} as events
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = 'raw'
    where events.batch_id <= watermarks.position
        and events.anonymous_id is not null
        and (events.tenant_id, events.anonymous_id) in (
            select tenant_id, id from ({{ changed(spec) }}) as changed where id is not null
        )
    union
    {{ events_of_days_blocked_or_released() }}
    {% for condition in rereads %}
    union
    select events.*
    from {{ source('raw', 'events') }} as events
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where {{ condition }}
        and events.batch_id <= (select position from pg_temp.taken where upstream = 'raw')
    {% endfor %}
    )
{% endmacro %}

{#- `affected_by` of staging.stg_excluded_events: of these, the events that are excluded now, or have been so far. -#}
{% macro affected_excluded_events(spec) %}
    select
        {% for column in adapter.get_columns_in_relation(source('raw', 'events')) -%}
        known.{{ column.name }}{{ ',' if not loop.last }}
        {% endfor %}
    from ({{ known_events('(' ~ affected_new_events(spec) ~ ')') }}) as known
    where {{ exclusion('known', 'known.person_id') }} is not null
        or exists (
            select from {{ this }} as existing
            where existing.tenant_id = known.tenant_id and existing.event_id = known.event_id
        )
{% endmacro %}

{#- What staging.stg_events reads: the new events that `affected_new_events` collected, or all that ever
    landed: as far as the input gate has validated it, where the build says how far that is. -#}
{% macro new_or_all_events() -%}
    {%- if rebuilding() -%}
    pg_temp.affected
    {%- elif var('validated_to') is not none -%}
    (select * from {{ source('raw', 'events') }} where batch_id <= {{ validated_to() }})
    {%- else -%}
    {{ source('raw', 'events') }}
    {%- endif %}
{%- endmacro %}
