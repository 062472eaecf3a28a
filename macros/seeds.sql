{#-
    A seed is loaded when its file or the types of its columns changed, or somebody changed the table: what was loaded is
    remembered in `ops.definitions`. The table stays in place, also where its columns changed, and with it the views on it,
    its grants and its policies.
-#}
{% materialization seed, default %}
    {% set target = this.incorporate(type='table') %}
    {% set existing = load_cached_relation(this) %}
    {% if existing is not none and not existing.is_table %}
        {% do exceptions.raise_compiler_error(existing ~ ' is no table, but a seed belongs there: drop it.') %}
    {% endif %}
    {% call in_one_transaction(target) %}
        {% if existing is not none and not flags.FULL_REFRESH and seed_is_loaded() %}
            {% do store_result('agate_table', response='OK') %}{# dbt asks for it #}
            {% call noop_statement('main', 'INSERT 0 0', 'INSERT', 0) %}{% endcall %}
        {% else %}
            {% do load_seed(target, existing is not none) %}
        {% endif %}
    {% endcall %}
    {% do return({'relations': [target]}) %}
{% endmaterialization %}

{#- What the table follows from. Of a file that is too large for dbt to read, dbt knows the path alone: it is always loaded. -#}
{% macro seed_source() %}
    {% do return(local_md5(tojson([
        model.checksum.checksum, model.config.get('column_types', {}), config.get('quote_columns'), config.get('delimiter')
    ]))) %}
{% endmacro %}

{#- That, and what the table holds. -#}
{% macro seed_content() -%}
    '{{ seed_source() }} ' || ops.content_of('{{ this }}')
{%- endmacro %}

{% macro seed_is_loaded() %}
    {% if model.checksum.name == 'path' %}{% do return(false) %}{% endif %}
    {% call statement('is_loaded', fetch_result=True, auto_begin=True) %}
        select exists (
            select from ops.definitions
            where model = 'seeds.{{ model.name }}' and tenant_id = '*file' and fingerprint = {{ seed_content() }}
        )
    {% endcall %}
    {% do return(load_result('is_loaded').table.columns[0].values()[0]) %}
{% endmacro %}

{% macro load_seed(target, is_there) %}
    {% set given = load_agate_table() %}
    {% do store_result('agate_table', response='OK', agate_table=given) %}
    {% set types = model.config.get('column_types', {}) %}
    {% set columns = [] %}
    {% for name in given.column_names %}
        {% do columns.append(
            adapter.quote_seed_column(name, config.get('quote_columns')) ~ ' ' ~ types.get(name, adapter.convert_type(given, loop.index0))
        ) %}
    {% endfor %}
    {# a file that was written before there was such a column leaves it blank #}
    {% for name, type in types.items() if name not in given.column_names %}
        {% do columns.append(adapter.quote_seed_column(name, config.get('quote_columns')) ~ ' ' ~ type) %}
    {% endfor %}
    {% call statement('shape') %}
        {% if is_there %}
        create temporary table given ({{ columns | join(', ') }}) on commit drop;
        delete from {{ target }};
        {{ take_on_columns(target) }}
        {% else %}
        create table {{ target }} ({{ columns | join(', ') }});
        {% endif %}
    {% endcall %}
    {% set written = load_csv_rows(model, given) if given.rows | length else '' %}
    {% set rows = given.rows | length %}
    {% call noop_statement('main', 'INSERT 0 ' ~ rows, 'INSERT', rows) %}{{ written }}{% endcall %}
    {% if not is_there %}{% do create_indexes(target) %}{% endif %}
    {% do persist_docs(target, model) %}
    {% call statement('remember') %}
        analyze {{ target }};
        {{ owe_readers() }}
        insert into ops.definitions (model, tenant_id, fingerprint)
        select 'seeds.{{ model.name }}', '*file', {{ seed_content() }}
        on conflict (model, tenant_id) do update set fingerprint = excluded.fingerprint
    {% endcall %}
{% endmacro %}

{#-
    Give the emptied table the columns of `pg_temp.given`. Postgres changes no type of a column that a view reads: such
    views are made again around it, as they were, with their owners, rights and comments. A column that a view still reads
    stays, empty, until the view is built without it. A model of this project that does not fit any more is left to the
    build, which makes it next; any other view stops the seed.
-#}
{% macro take_on_columns(target) %}
    {% set models = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' %}
        {% do models.append(node.schema ~ '.' ~ (node.alias or node.name)) %}
    {% endfor %}
    do $seed$
    declare
        target constant regclass := '{{ target }}'::regclass;
        part record;
        retyped text[] := '{}';
        kept jsonb := '[]';
        views oid[];
        depths jsonb := '{}';
        statement text;
    begin
        for part in
            select
                wanted.attname as added,
                existing.attname as had,
                existing.attnotnull,
                existing.atttypid is distinct from wanted.atttypid or existing.atttypmod is distinct from wanted.atttypmod as differs,
                format_type(wanted.atttypid, wanted.atttypmod) as type
            from (
                select * from pg_attribute where attrelid = 'pg_temp.given'::regclass and attnum > 0 and not attisdropped
            ) as wanted
            full join (
                select * from pg_attribute where attrelid = target and attnum > 0 and not attisdropped
            ) as existing using (attname)
            order by wanted.attnum
        loop
            if part.had is null then
                execute format('alter table %s add column %I %s', target, part.added, part.type);
            elsif part.added is null then
                begin
                    execute format('alter table %s drop column %I', target, part.had);
                exception when dependent_objects_still_exist then
                    if part.attnotnull then
                        execute format('alter table %s alter column %I drop not null', target, part.had);
                    end if;
                end;
            elsif part.differs then
                retyped := retyped || format(
                    'alter column %1$I drop default, alter column %1$I type %2$s using %1$I::text::%2$s', part.had, part.type
                );
            end if;
        end loop;
        if cardinality(retyped) = 0 then
            return;
        end if;
        statement := format('alter table %s %s', target, array_to_string(retyped, ', '));
        begin
            execute statement;
            return;
        exception when feature_not_supported then
            null;  -- a view reads one of them
        end;
        -- the views that read the table, and those that read these: a view's depth is more than that of what it reads
        views := array[target::oid];
        for depth in 1..100 loop
            select array_agg(distinct pg_rewrite.ev_class) into views
            from pg_depend
            inner join pg_rewrite on pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.objid = pg_rewrite.oid
            where
                pg_depend.refclassid = 'pg_class'::regclass
                and pg_depend.refobjid = any (views)
                and pg_rewrite.ev_class <> pg_depend.refobjid;  -- a view depends on itself
            exit when views is null;
            select depths || jsonb_object_agg(view, depth) into depths from unnest(views) as view;
        end loop;
        for part in
            select
                pg_class.oid,
                format('%I.%I', nspname, relname) as name,
                nspname || '.' || relname in ({{ literals(models) }}) as is_model,
                relkind,
                array_to_string(reloptions, ', ') as options,
                pg_get_userbyid(relowner) as owner,
                pg_get_viewdef(pg_class.oid) as definition,
                (
                    select coalesce(jsonb_agg(format(
                        'grant %s on %I.%I to %s%s', privilege_type, nspname, relname,
                        case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
                        case when is_grantable then ' with grant option' else '' end
                    )), '[]')
                    from aclexplode(relacl) where grantee <> relowner
                ) || (
                    select coalesce(jsonb_agg(
                        case
                            when objsubid = 0 then format('comment on view %I.%I is %L', nspname, relname, description)
                            else format('comment on column %I.%I.%I is %L', nspname, relname, attname, description)
                        end
                    ), '[]')
                    from pg_description
                    left join pg_attribute on attrelid = objoid and attnum = objsubid
                    where objoid = pg_class.oid and classoid = 'pg_class'::regclass
                ) as others
            from jsonb_each_text(depths) as depths (view, depth)
            inner join pg_class on pg_class.oid = depths.view::oid
            inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
            order by depths.depth::integer desc
        loop
            if part.relkind <> 'v' then
                raise exception '% reads %, whose columns change their types: drop it, and make it again after the build', part.name, target;
            end if;
            kept := jsonb_build_array(to_jsonb(part)) || kept;
            execute format('drop view %s', part.name);
        end loop;
        execute statement;
        for part in
            select * from jsonb_to_recordset(kept) as kept (
                name text, is_model boolean, options text, owner text, definition text, others jsonb
            )
        loop
            begin
                execute format(
                    'create view %s %s as %s', part.name, 'with (' || part.options || ')', part.definition
                );
                execute format('alter view %s owner to %I', part.name, part.owner);
                for statement in select jsonb_array_elements_text(part.others) loop
                    execute statement;
                end loop;
            exception when others then
                if not part.is_model then
                    raise exception '% does not fit the new columns of %: drop it, and make it again after the build', part.name, target;
                end if;
            end;
        end loop;
    end
    $seed$;
{% endmacro %}
