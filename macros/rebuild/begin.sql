{#- Pre-hook of every model: step 1 of README.md. -#}
{% macro rebuild_begin() %}
    {% set spec = rebuild_spec() %}
    {% if not execute or spec is none %}{% do return('') %}{% endif %}
    {% do lock_watermarks(spec) %}
    {% if rebuilding() %}
        create temporary table touched on commit drop as
        {{ touched_keys(spec) }};
        {% if history_is_frozen() %}{{ keep_frozen(spec) }}{% endif %}
        analyze pg_temp.touched;
    {% endif %}
    select 1
{% endmacro %}

{#-
    Two builds of one model take turns, and no upstream changes while a model reads it: its own row is locked for update,
    its upstreams' rows for share. `taken` remembers how far the upstreams' changes went when the keys were collected.
-#}
{% macro lock_watermarks(spec) %}
    {% set upstreams = spec.reads.keys() | list %}
    {% do run_query(
        "insert into ops.watermarks (model, upstream, position) select '" ~ model.name ~ "', upstream, 0 from unnest(array["
        ~ literals(upstreams) ~ "]::text[]) as upstream on conflict do nothing"
    ) %}
    {% do run_query("select 1 from ops.watermarks where model = '" ~ model.name ~ "' order by upstream for update") %}
    {% do run_query(
        "select 1 from ops.watermarks where model in (" ~ literals(upstreams) ~ ") order by model, upstream for share"
    ) %}
    {% do run_query("drop table if exists pg_temp.taken") %}
    {% do run_query("create temporary table taken (upstream text, position bigint) on commit drop") %}
    {% for upstream in upstreams %}
        {% set newest = newest_position(upstream) %}
        {% do run_query(
            "insert into pg_temp.taken select upstream, greatest(position, " ~ newest ~ ") from ops.watermarks where model = '"
            ~ model.name ~ "' and upstream = '" ~ upstream ~ "'"
        ) %}
    {% endfor %}
{% endmacro %}

{#- How far an upstream goes now. Landing goes on while a build runs: staging takes in what the input
    gate has judged, and the others have only what staging took in. -#}
{% macro newest_position(upstream) -%}
    {%- if upstream != 'raw' -%}
    (select max(change_id) from ops.changes where model = '{{ upstream }}')
    {%- elif model.name == 'stg_events' -%}
    (select least(max(last_batch_id), {{ 'null' if var('judged_to') is none else var('judged_to') }}) from raw.loads)
    {%- else -%}
    (select position from ops.watermarks where model = 'stg_events' and upstream = 'raw')
    {%- endif -%}
{%- endmacro %}

{#- The keys to recompute, as a select of the key columns. -#}
{% macro touched_keys(spec) %}
    {% if spec.get('touch') %}
        {% do return(context[spec.touch](spec)) %}
    {% endif %}
    select distinct tenant_id{% for column, part in spec.key.items() %}, {{ part }} as {{ column }}{% endfor %}
    from ({{ changed(spec) }}) as changed
    where {% for part in spec.key.values() %}{{ part }} is not null{% if not loop.last %} and {% endif %}{% endfor %}
    {{ touched_beside_changes(spec) }}
{% endmacro %}

{#- Keys touched by no upstream's change: those of standing rows to look at again, and those the clock has moved. -#}
{% macro touched_beside_changes(spec) %}
    {% set columns = 'tenant_id' ~ (', ' if spec.key else '') ~ spec.key.keys() | join(', ') %}
    {% for condition in reread_conditions(spec, spec.get('date')) %}
    union
    select {{ columns }} from {{ this }} where {{ condition }}
    {% endfor %}
    {% if spec.get('crosses') %}
    union
    {{ context[spec.crosses](spec) }}
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

{#- The pairs of upstream model and kind of change; `reads` may name several kinds of one upstream. -#}
{% macro kinds_read(spec) %}
    {% set pairs = [] %}
    {% for upstream, kinds in spec.reads.items() if upstream != 'raw' %}
        {% for kind in ([kinds] if kinds is string else kinds) %}{% do pairs.append((upstream, kind)) %}{% endfor %}
    {% endfor %}
    {% do return(pairs) %}
{% endmacro %}

{#-
    Conditions on rows that must be read again though no change of theirs was published: of every tenant after an
    upstream's full refresh (and in one that keeps frozen history), of tenants whose settings changed, of the range asked
    for. Asked of the database first, so that the usual build, where there is none, reads nothing.
-#}
{% macro reread_conditions(spec, date_column) %}
    {% set conditions = [] %}
    {% set tenants = run_query(tenants_to_reread(spec)).columns[0].values() | list %}
    {% if none in tenants or flags.FULL_REFRESH %}
        {% do conditions.append('true') %}
    {% elif tenants %}
        {% do conditions.append('tenant_id in (' ~ literals(tenants) ~ ')') %}
    {% endif %}
    {% set range = [] %}
    {% for bound, operator in [('from_date', '>='), ('to_date', '<=')] if date_column and var(bound) %}
        {% do range.append(date_column ~ ' ' ~ operator ~ ' ' ~ literals([var(bound)]) ~ '::date') %}
    {% endfor %}
    {% if var('tenant') %}{% do range.append('tenant_id in (' ~ literals([var('tenant')]) ~ ')') %}{% endif %}
    {% if range and (date_column or not var('from_date')) %}{% do conditions.append(range | join(' and ')) %}{% endif %}
    {% do return(conditions) %}
{% endmacro %}

{#- One column: tenants to be read again as a whole; null stands for all of them. -#}
{% macro tenants_to_reread(spec) %}
    select changes.tenant_id
    from ops.changes
    inner join ops.watermarks on watermarks.model = '{{ model.name }}' and watermarks.upstream = changes.model
    where changes.kind = 'all' and changes.change_id > watermarks.position
    {% for definition in definitions_of(spec) %}
    union
    select {{ definition.tenant_id }}
    from ({{ definition.fingerprints }}) as current_ones
    left join ops.definitions
        on definitions.model = '{{ model.name }}' and current_ones.tenant_id = definitions.tenant_id
    where definitions.fingerprint is distinct from current_ones.fingerprint
    {% endfor %}
{% endmacro %}
