{#-
    Step 1 of README.md. Two builds of one model take turns, and no upstream changes while a model reads it: its own row is
    locked for update, its upstreams' rows for share. `taken` remembers how far the upstreams' changes go now. Returns the
    spec with what there is to know before keys are collected: what to reread (nothing, tenants, everything), the range that is
    asked for, and whether any history is frozen.
-#}
{% macro lock_and_look(spec) %}
    {% call statement('lock_and_look', fetch_result=True, auto_begin=True) %}{{ looking(spec) }}{% endcall %}
    {% set found = load_result('lock_and_look').table.rows[0] %}
    {% set reread = 'everything' if flags.FULL_REFRESH else found.reread %}
    {% do return(dict(spec, reread=reread, asked=asked_range(), is_frozen=found.is_frozen)) %}
{% endmacro %}

{% macro looking(spec) %}
    {% set upstreams = spec.reads.keys() | list %}
    insert into ops.watermarks (model, upstream, position)
    select '{{ model.name }}', upstream, 0 from unnest(array[{{ literals(upstreams) }}]) as upstream
    on conflict do nothing;
    delete from ops.watermarks
    where model = '{{ model.name }}' and upstream not in ({{ literals(upstreams) }});  -- read by an older version
    select 1 from ops.watermarks where model = '{{ model.name }}' order by upstream for update;
    select 1 from ops.watermarks where model in ({{ literals(upstreams) }}) order by model, upstream for share;
    create temporary table taken on commit drop as
    select upstream, greatest(position, case {{ newest_positions(upstreams) }} end) as position
    from ops.watermarks where model = '{{ model.name }}';
    create temporary table current_definitions on commit drop as {{ current_definitions(spec) | join('\nunion all\n') }};
    create temporary table reread on commit drop as {{ tenants_to_reread(spec) }};
    select
        case
            when exists (select from pg_temp.reread where tenant_id is null) then 'everything'
            when exists (select from pg_temp.reread) then 'tenants'
            else 'nothing'
        end as reread,
        exists (select 1 from ops.raw_horizon) as is_frozen
{% endmacro %}

{#-
    The affected keys, and with them the watermark: from here on, their changes are taken in. Returns whether there are any,
    and the existing table's columns and comments.
-#}
{% macro collect_affected(spec) %}
    {% call statement('collect_affected', fetch_result=True) %}{{ collecting(spec) }}{% endcall %}
    {% set found = load_result('collect_affected').table.rows %}
    {% set columns = [] %}
    {% set comments = {'': found[0].comment_of_all or ''} %}
    {% for column in found %}
        {% do columns.append(api.Column.create(column.name, column.type)) %}
        {% do comments.update({column.name: column.comment or ''}) %}
    {% endfor %}
    {% do return({'is_affected': found[0].is_affected, 'columns': columns, 'comments': comments}) %}
{% endmacro %}

{% macro collecting(spec) %}
    create temporary table affected on commit drop as
    {{ affected_keys(spec) }};
    analyze pg_temp.affected;
    {{ move_watermarks(spec) }}
    select
        attname as name,
        format_type(atttypid, atttypmod) as type,
        col_description(attrelid, attnum) as comment,
        obj_description(attrelid, 'pg_class') as comment_of_all,
        exists (select 1 from pg_temp.affected) as is_affected
    from pg_attribute
    where attrelid = '{{ this }}'::regclass and attnum > 0 and not attisdropped
    order by attnum
{% endmacro %}

{#- Where a table is built as a whole: its readers look at all of it again. -#}
{% macro taking_in_everything(spec) %}
    insert into ops.changes (model, kind) values ('{{ model.name }}', 'all');
    insert into ops.rebuilds (build_id, model) values ({{ build_id() }}, '{{ model.name }}')
    on conflict (build_id, model) do update set
        rows_added = null, rows_changed = null, rows_removed = null, days = null, rebuilt_at = excluded.rebuilt_at;
    {{ move_watermarks(spec) }}
{% endmacro %}

{% macro move_watermarks(spec) %}
    update ops.watermarks
    set position = taken.position, built_at = clock_timestamp()
    from pg_temp.taken
    where watermarks.model = '{{ model.name }}' and watermarks.upstream = taken.upstream;
    {{ remember_definitions() }}
{% endmacro %}

{#- How far each upstream goes now, as branches of a `case`. Landing goes on while a build runs: staging takes in what the
    input gate has validated, and the others have only what staging took in. -#}
{% macro newest_positions(upstreams) -%}
    {%- for upstream in upstreams -%}
    when upstream = '{{ upstream }}' then
    {%- if upstream != 'raw' %}
    (select max(change_id) from ops.changes where model = '{{ upstream }}')
    {%- elif not reads_model('stg_events') %}{# nothing makes it wait for staging #}
    (select least(max(last_batch_id), {{ validated_to() }}) from raw.loads)
    {%- else %}
    (select position from ops.watermarks where model = 'stg_events' and upstream = 'raw')
    {%- endif %}
    {% endfor -%}
{%- endmacro %}

{#- The last batch that the input gate has validated. -#}
{% macro validated_to() -%}
    {{ 'null' if var('validated_to') is none else of_this_build('validated_to', var('validated_to')) }}::bigint
{%- endmacro %}

{#- The keys to recompute, as a select of the key columns. -#}
{% macro affected_keys(spec) %}
    {% if spec.get('affected_by') %}
        {% do return(context[spec.affected_by](spec)) %}
    {% endif %}
    select distinct tenant_id{% for column, part in spec.key.items() %}, {{ part }} as {{ column }}{% endfor %}
    from ({{ changed(spec) }}) as changed
    where {% for part in spec.key.values() %}{{ part }} is not null{% if not loop.last %} and {% endif %}{% endfor %}
    {{ affected_beside_changes(spec) }}
{% endmacro %}

{#- Keys affected by no upstream's change: those of existing rows to look at again, and those the clock has moved. -#}
{% macro affected_beside_changes(spec) %}
    {% set columns = 'tenant_id' ~ (', ' if spec.key else '') ~ spec.key.keys() | join(', ') %}
    {% for condition in reread_conditions(spec, spec.get('date')) %}
    union
    select {{ columns }} from {{ this }} where {{ condition }}
    {% endfor %}
    {% if spec.get('time_triggered') %}
    union
    {{ context[spec.time_triggered](spec) }}
    {% endif %}
{% endmacro %}

{#-
    What changed upstream, as (tenant_id, id, date): the published changes newer than the watermark, and the rows of
    upstreams that are to be read again as a whole or for a range of days.
-#}
{% macro changed(spec) %}
    {% for upstream, kind in kinds_read(spec) %}
    {% if not loop.first %}union{% endif %}
    select changes.tenant_id, changes.id, changes.date
    from ops.changes
    inner join ops.watermarks
        on watermarks.model = '{{ model.name }}' and watermarks.upstream = changes.model
    where changes.model = '{{ upstream }}' and changes.kind = '{{ kind }}' and changes.change_id > watermarks.position
    {% set node = model_node(upstream) %}
    {% set columns = rebuild_spec(node).publishes[kind] %}
    {% for condition in reread_conditions(spec, columns.get('date') or rebuild_spec(node).get('date')) %}
    union
    select tenant_id, {{ columns.get('id') or 'null' }}::text, {{ columns.get('date') or 'null' }}::date
    from {{ relation_of(node) }} where {{ condition }}
    {% endfor %}
    {% endfor %}
{% endmacro %}

{#- The pairs of upstream model and kind of change; `reads` may name several kinds of one upstream. Batches of `raw`, and what
    `parley build` publishes of the input gate's results (stg_blocked_days), are read by staging alone, in ways of its own. -#}
{% macro kinds_read(spec) %}
    {% set pairs = [] %}
    {% for upstream, kinds in spec.get('reads', {}).items() if upstream not in ('raw', 'stg_blocked_days') %}
        {% for kind in ([kinds] if kinds is string else kinds) %}{% do pairs.append((upstream, kind)) %}{% endfor %}
    {% endfor %}
    {% do return(pairs) %}
{% endmacro %}

{#-
    Conditions on rows that must be read again though no change of theirs was published: of every tenant after an
    upstream's full refresh (and in one that keeps frozen history), of tenants whose settings changed, and, beside them, of
    the range asked for. The usual build, where there is none, reads nothing. `instant_column`, if any, holds the range's
    bounds too, as wide as any time zone, so that partitions are pruned.
-#}
{% macro reread_conditions(spec, date_column, instant_column=none) %}
    {% if spec.reread == 'everything' %}{% do return(['true']) %}{% endif %}
    {% set conditions = [] %}
    {% if spec.reread == 'tenants' or spec.asked %}
        {% do conditions.append('tenant_id in (select reread.tenant_id from pg_temp.reread)') %}
    {% endif %}
    {% if not spec.asked or (spec.asked == 'days' and not date_column) %}{% do return(conditions) %}{% endif %}
    {% set from_date, to_date = asked('from_date') ~ '::date', asked('to_date') ~ '::date' %}
    {% set range = [] %}
    {% if date_column %}
        {% do range.append(date_column ~ " between coalesce(" ~ from_date ~ ", '-infinity') and coalesce(" ~ to_date ~ ", 'infinity')") %}
    {% endif %}
    {% if instant_column %}
        {% do range.append(instant_column ~ " >= coalesce(" ~ from_date ~ " - interval '1 day', '-infinity')") %}
        {% do range.append(instant_column ~ " < coalesce(" ~ to_date ~ " + interval '2 days', 'infinity')") %}
    {% endif %}
    {% if spec.asked == 'days' %}{% do return(conditions + [range | join(' and ')]) %}{% endif %}
    {% set all_days = 'coalesce(' ~ from_date ~ ', ' ~ to_date ~ ') is null' %}
    {#- as hexadecimal digits: dbt renders texts among its variables -#}
    {% do return(conditions + [
        'tenant_id = convert_from(decode(' ~ asked('tenant') ~ ", 'hex'), 'utf8')"
        ~ ' and (' ~ all_days ~ (' or ' ~ range | join(' and ') if range else '') ~ ')'
    ]) %}
{% endmacro %}

{#- What is to be built again besides what changed: days of all tenants, a tenant (or days of it), or none. -#}
{% macro asked_range() %}
    {% do return('tenant' if var('tenant') else 'days' if var('from_date') or var('to_date') else none) %}
{% endmacro %}

{#- A part of that: null where it is not asked for. -#}
{% macro asked(name) -%}
    nullif({{ of_this_build(name, var(name) or '') }}, '')
{%- endmacro %}

{#- One column: tenants to be read again as a whole; null stands for all of them. -#}
{% macro tenants_to_reread(spec) %}
    select changes.tenant_id
    from ops.changes
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = changes.model
    where changes.kind = 'all' and changes.change_id > watermarks.position
    union
    {{ tenants_built_otherwise() }}
{% endmacro %}
