{#-
    What a build runs for a model is the same text again and again while the project stays as it is: what differs are
    settings of the session (`of_this_build`). `ops.scripts` keeps the text, and `parley build` runs it without dbt
    (docs/decisions/builds-without-dbt.md). Keys are collected in another way where more than what changed is to be read, and
    written in another where history is frozen: each way is recorded, and so is a full refresh.
-#}
{% macro record_rebuilding(target, spec, sql) %}
    {% if var('project') is none or is_recorded() %}{% do return('') %}{% endif %}
    {% set usual = dict(spec, reread='nothing', asked=none, is_frozen=false) %}
    {% set columns = columns_in(target) %}
    {% set collect = {} %}
    {% for reread in ['nothing', 'tenants', 'everything'] %}
        {% do collect.update({reread: collecting(dict(usual, reread=reread))}) %}
    {% endfor %}
    {% for asked in ['days', 'tenant'] %}
        {% do collect.update({asked: collecting(dict(usual, asked=asked))}) %}
    {% endfor %}
    {% do record_script({
        'definitions': current_definitions(usual),
        'clock': context[spec.time_triggered](usual) if spec.get('time_triggered') else none,
        'look': looking(usual),
        'collect': collect,
        'recompute': recomputing(rendered_for('affected', sql)),
        'write': write_difference(target, columns, config.get('unique_key'), usual) ~ analyze_if_grown(target),
        'write_beside_frozen':
            write_difference(target, columns, config.get('unique_key'), dict(usual, is_frozen=true)) ~ analyze_if_grown(target),
        'freezes': freezes(usual),
        'refresh': taking_in_everything(usual) ~ refreshing(target, rendered_for('everything', sql)),
    }) %}
{% endmacro %}

{#- The model's SQL for affected keys, or for the whole table: this run's own, or rendered once more. -#}
{% macro rendered_for(rows, sql) %}
    {% if (rows == 'affected') == rebuilding() %}{% do return(sql) %}{% endif %}
    {% do model.update({'rendered_for': rows}) %}
    {% set other = render(model.raw_code) %}
    {% do model.pop('rendered_for') %}
    {% do return(other) %}
{% endmacro %}

{#- The columns of the model's table: as its contract has them, else as the database does. -#}
{% macro columns_in(target) %}
    {% if not config.get('contract').enforced %}{% do return(adapter.get_columns_in_relation(target)) %}{% endif %}
    {% set columns = [] %}
    {% for column in model.columns.values() %}{% do columns.append(api.Column.create(column.name, column.data_type)) %}{% endfor %}
    {% do return(columns) %}
{% endmacro %}

{#- Of a table that builds make as a whole: the difference is written, so that a refresh that finds none changes nothing. -#}
{% macro record_refreshing(target, sql) %}
    {% if var('project') is none or is_recorded() %}{% do return('') %}{% endif %}
    {% do record_script({'refresh': refreshing(target, sql)}) %}
{% endmacro %}

{% macro refreshing(target, sql) %}
    {% set table_columns = columns_in(target) %}
    {% set columns = table_columns | map(attribute='quoted') | join(', ') %}
    {% set key = config.get('unique_key') or [] %}
    create temporary table recomputed (like {{ target }}) on commit drop;
    insert into pg_temp.recomputed ({{ columns }}) select {{ columns }} from ({{ sql }}) as computed;
    {% for difference, ours, other in [('removed', target, 'pg_temp.recomputed'), ('added', 'pg_temp.recomputed', target)] %}
    create temporary table {{ difference }} on commit drop as
    select ours.*
    from {{ ours }} as ours
    {% if key %}
    left join {{ other }} as other on {{ same('other', 'ours', key) }}
    where other.{{ key[0] }} is null or ({{ columns_of('other', table_columns) }}) is distinct from ({{ columns_of('ours', table_columns) }})
    {% endif %};
    {% endfor %}
    delete from {{ target }} as target
    {% if key %}using pg_temp.removed where {{ same('target', 'removed', key) }}{% endif %};
    {{ owe_readers('exists (select from pg_temp.removed union all select from pg_temp.added)') }}
    insert into {{ target }} ({{ columns }}) select {{ columns }} from pg_temp.added
{% endmacro %}

{% macro is_recorded() %}
    {% do return(run_query(
        "select exists (select from ops.scripts where name = '" ~ model.name ~ "' and project = " ~ literals([var('project')]) ~ ")"
    ).columns[0].values()[0]) %}
{% endmacro %}

{#- Without the database's name: the text is of this warehouse, whatever it is called. -#}
{% macro record_script(steps) %}
    {% call statement('record_script') %}
        insert into ops.scripts (name, project, steps)
        values (
            '{{ model.name }}',
            {{ literals([var('project')]) }},
            replace({{ as_jsonb(steps) }}::text, '\"{{ target.dbname }}\".', '')::jsonb
        )
        on conflict (name) do update set project = excluded.project, steps = excluded.steps
    {% endcall %}
{% endmacro %}

{#- What reads the table is owed, where the condition holds. -#}
{% macro owe_readers(condition='true') %}
    select ops.owe_readers('{{ model.name }}') where {{ condition }};
{% endmacro %}

{#- Before the run: what another project makes of the views and seeds is not what `ops.plans` says. -#}
{% macro forget_other_plans() %}
    {% if execute and flags.WHICH in ('build', 'run', 'seed') %}
    delete from ops.plans where project <> {{ literals([var('project') or '']) }}
    {% endif %}
{% endmacro %}
