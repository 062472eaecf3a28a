{#-
    After every run, whoever started it (`parley build`, Dagster, plain dbt): one row of ops.builds says as of when the
    tables were built and what went wrong. Of a message only the first line that says something is kept.
-#}
{% macro record_build(results) %}
    {% if not execute or flags.WHICH not in ('build', 'run', 'test') %}{% do return('') %}{% endif %}
    {% set problems = [] %}
    {% set seconds = {} %}
    {% set counts = {'built': 0, 'pass': 0, 'warn': 0, 'fail': 0, 'error': 0, 'skipped': 0} %}
    {% for result in results if result.node.resource_type != 'operation' %}
        {% set status = 'built' if result.status | string == 'success' else result.status | string %}
        {% do counts.update({status: counts.get(status, 0) + 1}) %}
        {% if result.execution_time >= 0.01 %}{% do seconds.update({result.node.name: result.execution_time | round(3)}) %}{% endif %}
        {% if status in ('warn', 'fail', 'error') %}
            {% do problems.append({
                'name': result.node.name,
                'kind': result.node.resource_type | string,
                'status': status,
                'message': first_telling_line(result.message or ''),
            }) %}
        {% endif %}
    {% endfor %}
    insert into ops.builds (
        build_id, command, as_of, started_at, finished_at, arguments,
        built, passed, warned, failed, errors, skipped, problems, seconds
    ) values (
        {{ build_id() }}, '{{ flags.WHICH }}', {{ as_of() }}, '{{ run_started_at.isoformat() }}', clock_timestamp(),
        {{ as_jsonb({
            'full_refresh': flags.FULL_REFRESH or false,
            'select': invocation_args_dict.get('select') or [],
            'vars': invocation_args_dict.get('vars') or {},
        }) }},
        {{ counts['built'] }}, {{ counts['pass'] }}, {{ counts['warn'] }}, {{ counts['fail'] }}, {{ counts['error'] }},
        {{ counts['skipped'] }}, {{ as_jsonb(problems) }}, {{ as_jsonb(seconds) }}
    )
    on conflict (build_id) do update set
        finished_at = excluded.finished_at,
        {% for count in ['built', 'passed', 'warned', 'failed', 'errors', 'skipped'] -%}
        {{ count }} = builds.{{ count }} + excluded.{{ count }},
        {% endfor -%}
        problems = builds.problems || excluded.problems,
        seconds = builds.seconds || excluded.seconds
{% endmacro %}

{#- Of `ops.builds` and `ops.rebuilds`: dbt runs that were given one id are one build. -#}
{% macro build_id() -%}
    {{ of_this_build('build_id', var('build_id') or invocation_id) }}
{%- endmacro %}

{#-
    A text that differs from build to build. Where what a build runs is kept for the next ones (`project`, rebuild/record.sql),
    it is a setting of the session (`parley.build.circumstances`), and the SQL is the same each time.
-#}
{% macro of_this_build(name, value) -%}
    {%- if execute and model.config.materialized == 'view' %}
        {% do exceptions.raise_compiler_error('A view is of no build: materialize ' ~ model.name ~ ' as a table.') %}
    {%- endif %}
    {{ "current_setting('parley." ~ name ~ "')" if var('project') else "'" ~ value ~ "'" }}
{%- endmacro %}

{#- dbt's messages begin with a heading ("Database Error in model x (path)"); the reason is the line after it. -#}
{% macro first_telling_line(message) %}
    {% set lines = message.strip().split('\n') %}
    {% set told = lines[1:] if lines | length > 1 and ' Error' in lines[0] else lines %}
    {% do return(told[0].strip()) %}
{% endmacro %}

{% macro as_jsonb(value) -%}
    {{ dbt.string_literal(dbt.escape_single_quotes(tojson(value))) }}::jsonb
{%- endmacro %}
