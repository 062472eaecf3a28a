{#-
    What a model's rows follow from besides events: the settings of each tenant if the model reads `stg_tenants`; every seed
    that it reads, and the views, sources and variables that its `definitions` and `vars` name; its own SQL; and, where the
    clock counts, how far it had gone. A list of selects of (key, tenant_id, fingerprint): `key` names the row of `ops.definitions` that
    it is compared with, `tenant_id` whose rows a difference makes to be read again, null for everybody's.
-#}
{% macro current_definitions(spec) %}
    {% set found = ["select '*sql' as key, null::text as tenant_id, '" ~ local_md5(model.raw_code) ~ "' as fingerprint"] %}
    {% if reads_model('stg_tenants') %}
        {% do found.append('select tenant_id as key, tenant_id, fingerprint from ' ~ ref('stg_tenants')) %}
    {% endif %}
    {% for name, relation, has_tenants in definitions_of(spec) %}
        {% do found.append(fingerprints_of(name, relation, has_tenants)) %}
    {% endfor %}
    {% for name in spec.get('vars', []) %}
        {% do found.append("select '*var:" ~ name ~ "' as key, null as tenant_id, '" ~ local_md5(tojson(var(name))) ~ "' as fingerprint") %}
    {% endfor %}
    {% if spec.get('time_triggered') %}
        {% do found.append("select '*as_of' as key, null as tenant_id, (" ~ as_of() ~ " at time zone 'UTC')::text as fingerprint") %}
    {% endif %}
    {% do return(found) %}
{% endmacro %}

{% macro fingerprints_of(name, relation, has_tenants) %}
    {% if has_tenants %}
    select
        '*{{ name }}@' || tenant_id as key,
        nullif(tenant_id, '*') as tenant_id,
        md5(string_agg(definition::text, '|' order by definition::text)) as fingerprint
    from {{ relation }} as definition
    group by tenant_id
    {% else %}
    select
        '*{{ name }}' as key,
        null as tenant_id,
        coalesce(md5(string_agg(definition::text, '|' order by definition::text)), '') as fingerprint
    from {{ relation }} as definition
    {% endif %}
{% endmacro %}

{#- One column: tenants whose rows were built under something else; null stands for all of them. -#}
{% macro tenants_built_otherwise() %}
    select current_ones.tenant_id
    from pg_temp.current_definitions as current_ones
    left join ops.definitions
        on definitions.model = '{{ model.name }}' and current_ones.key = definitions.tenant_id
    where current_ones.key <> '*as_of' and definitions.fingerprint is distinct from current_ones.fingerprint
    union
    -- a definition that is gone, or a tenant: nothing of it is left that could affect its rows
    select
        case
            when definitions.tenant_id like '*%@%'
                then nullif(substr(definitions.tenant_id, strpos(definitions.tenant_id, '@') + 1), '*')
            when definitions.tenant_id not like '*%' then definitions.tenant_id
        end
    from ops.definitions
    left join pg_temp.current_definitions as current_ones on definitions.tenant_id = current_ones.key
    where definitions.model = '{{ model.name }}' and current_ones.key is null
    union
    -- the clock was turned back
    select null
    from ops.definitions
    inner join pg_temp.current_definitions as current_ones on definitions.tenant_id = current_ones.key
    where
        definitions.model = '{{ model.name }}'
        and current_ones.key = '*as_of'
        and definitions.fingerprint::timestamp > current_ones.fingerprint::timestamp
{% endmacro %}

{#- From here on, the model's rows are built under the current definitions. -#}
{% macro remember_definitions() %}
    insert into ops.definitions (model, tenant_id, fingerprint)
    select '{{ model.name }}', key, fingerprint from pg_temp.current_definitions
    on conflict (model, tenant_id) do update set fingerprint = excluded.fingerprint
    where definitions.fingerprint <> excluded.fingerprint;
    delete from ops.definitions
    where
        model = '{{ model.name }}'
        and not exists (select 1 from pg_temp.current_definitions as current_ones where current_ones.key = definitions.tenant_id);
{% endmacro %}

{#- What time it was when the model, which is `time_triggered`, was built last. -#}
{% macro as_of_last_build() -%}
    (
        select fingerprint::timestamp at time zone 'UTC'
        from ops.definitions
        where model = '{{ model.name }}' and tenant_id = '*as_of'
    )
{%- endmacro %}

{#-
    The tables a model is built under, as (name, relation, whether its rows belong to tenants): each seed that it reads, and
    what its `definitions` name.
-#}
{% macro definitions_of(spec) %}
    {% set found = [] %}
    {% for id in model.depends_on.nodes %}
        {% set node = graph.nodes.get(id) or graph.sources.get(id) %}
        {% if node and (node.resource_type == 'seed' or name_in_contract(node) in spec.get('definitions', [])) %}
            {% do found.append((name_in_contract(node), relation_of(node), 'tenant_id' in node.columns)) %}
        {% endif %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}
