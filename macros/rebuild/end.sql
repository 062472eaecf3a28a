{#- Post-hook of every model: step 4 of README.md. -#}
{% macro rebuild_end() %}
    {% set spec = rebuild_spec() %}
    {% if not execute or spec is none %}{% do return('') %}{% endif %}
    {% if not rebuilding_happened() %}
        insert into ops.changes (model, kind) values ('{{ model.name }}', 'all');
        insert into ops.rebuilds (build_id, model) values ('{{ build_id() }}', '{{ model.name }}')
        on conflict (build_id, model) do update set
            rows_added = null, rows_changed = null, rows_removed = null, days = null, rebuilt_at = excluded.rebuilt_at;
    {% endif %}
    update ops.watermarks
    set position = taken.position, built_at = clock_timestamp()
    from pg_temp.taken
    where watermarks.model = '{{ model.name }}' and watermarks.upstream = taken.upstream;
    {% for definition in definitions_of(spec) %}
    insert into ops.definitions (model, tenant_id, fingerprint)
    select '{{ model.name }}', tenant_id, fingerprint from ({{ definition.fingerprints }}) as current_ones
    on conflict (model, tenant_id) do update set fingerprint = excluded.fingerprint
    where definitions.fingerprint <> excluded.fingerprint;
    {% endfor %}
    select 1
{% endmacro %}

{#- In a post-hook the table always exists: whether keys were touched tells an incremental build from a whole one. -#}
{% macro rebuilding_happened() %}
    {% do return(run_query("select to_regclass('pg_temp.touched') is not null").columns[0].values()[0]) %}
{% endmacro %}

{#- After the run: changes that every reader has taken in are of no more use. -#}
{% macro forget_taken_changes() %}
    {% if not execute or flags.WHICH not in ('build', 'run') %}{% do return('') %}{% endif %}
    {% set names = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and rebuild_spec(node) is not none %}
        {% do names.append(node.name) %}
    {% endfor %}
    delete from ops.changes
    where change_id <= coalesce(
        (
            select min(position) from ops.watermarks
            where watermarks.upstream = changes.model and watermarks.model in ({{ literals(names) }})
        ),
        change_id
    )
{% endmacro %}
