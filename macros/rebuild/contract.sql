{#-
    Holds each model's meta.rebuild against what its SQL reads, for models of the project and of its users alike: what is
    read and not declared would be missed by an incremental build, and nobody would see it. Each complaint says what to add.
-#}
{% macro check_rebuild_contracts() %}
    {% if not execute or flags.WHICH not in ('build', 'run') %}{% do return('') %}{% endif %}
    {% set complaints = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'rebuild' %}
        {% do complaints.extend(complaints_about(node)) %}
    {% endfor %}
    {% for sentence in kinds_read_by_nobody() %}{% do exceptions.warn(sentence) %}{% endfor %}
    {% if complaints %}{% do exceptions.raise_compiler_error(complaints | join('\n')) %}{% endif %}
{% endmacro %}

{% macro complaints_about(node) %}
    {% set spec = rebuild_spec(node) %}
    {% set found = [] %}
    {% for entry in ['key', 'reads'] if not spec.get(entry) %}
        {% do found.append(node.name ~ " does not say how it is rebuilt: give its meta.rebuild a `" ~ entry
            ~ "` (macros/rebuild/README.md), or build it whole with materialized='table'.") %}
    {% endfor %}
    {% if found %}{% do return(found) %}{% endif %}
    {% if not node.config.unique_key %}
        {% do found.append(node.name ~ " has no `unique_key`: add the columns that name one of its rows.") %}
    {% endif %}
    {% do found.extend(undeclared_inputs(node, spec)) %}
    {% do found.extend(unpublished_kinds(node, spec)) %}
    {% do found.extend(undeclared_circumstances(node, spec)) %}
    {% do return(found) %}
{% endmacro %}

{#- Every ref and source is in `reads`, in `definitions`, or `beside`, with the reason why no change of it matters. -#}
{% macro undeclared_inputs(node, spec) %}
    {% set found = [] %}
    {% for id in node.depends_on.nodes %}
        {% set upstream = graph.nodes.get(id) or graph.sources.get(id) %}
        {% set name = name_in_contract(upstream) %}
        {% set is_declared = name in spec.reads or name in spec.get('definitions', []) or name in spec.get('beside', {}) %}
        {% if is_declared or upstream.resource_type == 'seed' or name == 'stg_tenants' or (name == 'raw.events' and 'raw' in spec.reads) %}
        {% elif upstream.config.materialized == 'rebuild' %}
            {% do found.append(node.name ~ " reads " ~ name ~ " without saying so: add '" ~ name
                ~ "' to `reads` of its meta.rebuild, with the kind of its changes that affects a key ("
                ~ (rebuild_spec(upstream).get('publishes', {}).keys() | join(', ') or 'it publishes none yet') ~ ").") %}
        {% else %}
            {% do found.append(node.name ~ " reads " ~ name ~ ", whose changes nobody publishes: add '" ~ name
                ~ "' to `definitions` of its meta.rebuild if it is small and a change of it concerns all rows, or to"
                ~ " `beside` with the reason why no change of it matters.") %}
        {% endif %}
    {% endfor %}
    {% set read = [] %}
    {% for id in node.depends_on.nodes %}{% do read.append(name_in_contract(graph.nodes.get(id) or graph.sources.get(id))) %}{% endfor %}
    {% for name in (spec.reads.keys() | list) + spec.get('definitions', []) + (spec.get('beside', {}).keys() | list) if name not in read and name != 'raw' %}
        {% do found.append(node.name ~ " declares " ~ name ~ ", which it does not read: take '" ~ name ~ "' out of its meta.rebuild.") %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}

{% macro unpublished_kinds(node, spec) %}
    {% set found = [] %}
    {% for upstream, kind in kinds_read(spec) %}
        {% set source = graph.nodes.get('model.' ~ project_name ~ '.' ~ upstream) %}
        {% if source and source.config.materialized == 'rebuild' and kind not in rebuild_spec(source).get('publishes', {}) %}
            {% do found.append(node.name ~ " reads changes of kind '" ~ kind ~ "' of " ~ upstream
                ~ ", which publishes none: add '" ~ kind ~ "' to `publishes` of " ~ upstream ~ ", or read one of "
                ~ (rebuild_spec(source).get('publishes', {}).keys() | join(', ') or 'none') ~ ".") %}
        {% endif %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}

{#- What a model's rows follow from without a ref: variables, the clock, and, once there is frozen history, its dates. -#}
{% macro undeclared_circumstances(node, spec) %}
    {% set found = [] %}
    {% for name in modules.re.findall("\\bvar\\(\\s*['\"](\\w+)", node.raw_code) | unique if name not in spec.get('vars', []) %}
        {% do found.append(node.name ~ " uses the variable " ~ name ~ ": add '" ~ name ~ "' to `vars` of its meta.rebuild.") %}
    {% endfor %}
    {% if modules.re.search("\\b(as_of|is_over|abandoned_at)\\(", node.raw_code) and not spec.get('time_triggered') %}
        {% do found.append(node.name ~ " asks for the time: add `time_triggered` to its meta.rebuild, a macro that selects the"
            ~ " keys whose rows the clock has changed.") %}
    {% endif %}
    {% set is_dated = 'date' in spec.key.values() or spec.get('until') or spec.get('freezes') or goes_on_with(spec) is not none %}
    {% if spec.get('date') and not is_dated %}
        {% do found.append(node.name ~ " has a `date` and keys that go on: add `until`, the last day that a row is made of, to its"
            ~ " meta.rebuild, or 'freezes': 'nothing'.") %}
    {% endif %}
    {% do return(found) %}
{% endmacro %}

{% macro kinds_read_by_nobody() %}
    {% set read = [] %}
    {% set found = [] %}
    {% set models = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'rebuild' %}
        {% do models.append(node) %}
        {% do read.extend(kinds_read(rebuild_spec(node))) %}
    {% endfor %}
    {% for node in models %}
        {% for kind in rebuild_spec(node).get('publishes', {}) if (node.name, kind) not in read %}
            {% do found.append(node.name ~ " publishes changes of kind '" ~ kind ~ "', which no model reads: take it out of `publishes`.") %}
        {% endfor %}
    {% endfor %}
    {% do return(found) %}
{% endmacro %}
