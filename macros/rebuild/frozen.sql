{#-
    History whose raw events retention has dropped stays as it is (docs/decisions/frozen-history.md): a row is frozen when
    all that it can be made of lies before the tenant's `ops.raw_horizon`. A frozen row stays unless what replaces it is not
    frozen: its key went on. Where there is frozen history, a full refresh does not replace the table but affects every key:
    both ways lead through the same code to the same rows.
-#}

{#- Whether rows of a model can be frozen: those that have a date, unless it says that it `freezes` nothing. -#}
{% macro freezes(spec) %}
    {% do return((spec.get('date') or spec.get('until')) is not none and spec.get('freezes') != 'nothing') %}
{% endmacro %}

{#- The columns of staging by which events belong to a key that goes on, by the key's column. -#}
{% macro columns_of_events() %}
    {% do return({
        'thread_id': 'thread_id', 'conversation_id': 'thread_id', 'order_id': 'order_id', 'booking_id': 'booking_id'
    }) %}
{% endmacro %}

{#- The key's column if the model's rows go on with the events of a thread, an order or a booking; none for others. -#}
{% macro goes_on_with(spec) %}
    {% set columns = spec.key.keys() | list %}
    {% if not spec.get('until') and columns | length == 1 and columns[0] in columns_of_events() %}
        {% do return(columns[0]) %}
    {% endif %}
    {% do return(none) %}
{% endmacro %}

{#- Condition: the row of this alias is frozen. -#}
{% macro is_frozen(spec, alias) -%}
    {%- set until = (spec.get('until') or '{row}.' ~ spec.date) | replace('{row}', alias) -%}
    {%- set column = goes_on_with(spec) -%}
    exists (
        select 1
        from ops.raw_horizon
        {%- if 'tenants.' in until %}
        inner join {{ relation_of(model_node('stg_tenants')) }} as tenants on raw_horizon.tenant_id = tenants.tenant_id
        {%- endif %}
        where
            raw_horizon.tenant_id = {{ alias }}.tenant_id
            and {{ until }} < raw_horizon.frozen_before
            {%- if column is not none %}
            and not exists (
                select 1
                from {{ relation_of(model_node('stg_events')) }} as later
                where
                    later.tenant_id = {{ alias }}.tenant_id
                    and later.{{ columns_of_events()[column] }} = {{ alias }}.{{ column }}
                    and later.occurred_on >= raw_horizon.frozen_before
            )
            {%- endif %}
    )
{%- endmacro %}

{#- Whether a full refresh replaces the table: not where that would take frozen history with it. -#}
{% macro should_full_refresh() %}
    {% set asked = config.get('full_refresh') if config.get('full_refresh') is not none else flags.FULL_REFRESH %}
    {% if asked and rebuild_spec() is not none and freezes(rebuild_spec()) and history_is_frozen() %}
        {% do return(false) %}
    {% endif %}
    {% do return(asked) %}
{% endmacro %}

{% macro history_is_frozen() %}
    {% do return(execute and run_query('select exists (select 1 from ops.raw_horizon)').columns[0].values()[0]) %}
{% endmacro %}
