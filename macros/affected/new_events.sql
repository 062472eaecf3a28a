{#-
    `affected_by` of staging.stg_events, where events enter the build: the new events themselves, so that the landing tables are
    read once and by index. New are the batches after the watermark; beside them the days of --from/--to and all events of
    tenants whose settings changed.
-#}
{% macro affected_new_events(spec) %}
    select events.*
    from {{ source('raw', 'events') }} as events
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = 'raw'
    inner join pg_temp.taken on taken.upstream = watermarks.upstream
    where events.batch_id > watermarks.position and events.batch_id <= taken.position
    {% for condition in reread_conditions(spec, local_date('occurred_at', 'tenants.time_zone'), 'occurred_at') %}
    union
    select events.*
    from {{ source('raw', 'events') }} as events
    inner join {{ ref('stg_tenants') }} as tenants using (tenant_id)
    where {{ condition }}
        and events.batch_id <= (select position from pg_temp.taken where upstream = 'raw')
    {% endfor %}
{% endmacro %}

{#- What staging.stg_events reads: the new events that `affected_new_events` collected, or all that ever
    landed: as far as the input gate has judged it, where the build says how far that is. -#}
{% macro new_or_all_events() -%}
    {%- if rebuilding() -%}
    pg_temp.affected
    {%- elif var('judged_to') is not none -%}
    (select * from {{ source('raw', 'events') }} where batch_id <= {{ var('judged_to') }}) as judged
    {%- else -%}
    {{ source('raw', 'events') }}
    {%- endif %}
{%- endmacro %}
