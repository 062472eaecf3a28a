{#-
    Of a table of settings the row that fits a row best, as a lateral join's right side: where it stands under the row's
    own value of a column before where it stands under `*`, the first of the columns first.
-#}
{% macro best_setting(settings, row, columns=['tenant_id'], where=none) -%}
    (
        select candidates.*
        from {{ settings }} as candidates
        where
            {% for column in columns -%}
            candidates.{{ column }} in ('*', {{ row }}.{{ column }}){% if not loop.last %} and {% endif %}
            {%- endfor %}
            {%- if where %} and candidates.{{ where }}{% endif %}
        order by {% for column in columns %}candidates.{{ column }} = '*'{% if not loop.last %}, {% endif %}{% endfor %}
        limit 1
    )
{%- endmacro %}
