{#-
    History whose raw events retention has dropped stays as it is: rows of days before the tenant's `ops.raw_horizon`. No
    key that has such a row is affected, and where there is any, a full refresh does not replace the table but affects every
    other key: both ways lead through the same code to the same rows. Of a model that `freezes` by rows, whose keys go on
    after such a day (a user, a cohort), the key is affected, and rows of these days are neither taken out nor put in.
-#}

{#- Condition: a row of this alias belongs to frozen history. -#}
{% macro is_frozen(alias, date_column) -%}
    exists (
        select from ops.raw_horizon
        where raw_horizon.tenant_id = {{ alias }}.tenant_id and {{ alias }}.{{ date_column }} < raw_horizon.frozen_before
    )
{%- endmacro %}

{#- Takes frozen keys out of `affected`; a stretch of time is cut to what comes after the last frozen row. -#}
{% macro keep_frozen(spec) %}
    {% if spec.get('range') %}
    update pg_temp.affected
    set from_at = frozen.ended_at + interval '1 microsecond'
    from (
        select tenant_id, {{ spec.key.keys() | join(', ') }}, max(ended_at) as ended_at
        from {{ this }} as existing
        where {{ is_frozen('existing', spec.date) }}
        group by tenant_id, {{ spec.key.keys() | join(', ') }}
    ) as frozen
    where frozen.tenant_id = affected.tenant_id
    {%- for column in spec.key %} and frozen.{{ column }} = affected.{{ column }}{% endfor %}
    and frozen.ended_at >= affected.from_at;
    {% elif spec.get('date') and not freezes_by_rows(spec) %}
    delete from pg_temp.affected
    using {{ this }} as existing
    where existing.tenant_id = affected.tenant_id
    {%- for column in spec.key %} and existing.{{ column }} = affected.{{ column }}{% endfor %}
    and {{ is_frozen('existing', spec.date) }};
    {% endif %}
{% endmacro %}

{% macro freezes_by_rows(spec) %}
    {% do return(spec.get('freezes') == 'rows') %}
{% endmacro %}

{#- dbt's own macro, which decides between the two ways of an incremental model. -#}
{% macro should_full_refresh() %}
    {% set asked = config.get('full_refresh') if config.get('full_refresh') is not none else flags.FULL_REFRESH %}
    {% if asked and rebuild_spec() is not none and history_is_frozen() %}
        {% do return(false) %}
    {% endif %}
    {% do return(asked) %}
{% endmacro %}

{% macro history_is_frozen() %}
    {% do return(execute and run_query('select exists (select from ops.raw_horizon)').columns[0].values()[0]) %}
{% endmacro %}
