{#- A total is the sum of its parts. -#}
{% test adds_up(model, total, parts) %}
    select *
    from {{ model }}
    where {{ total }} is distinct from {{ parts | join(' + ') }}
{% endtest %}

{#- Shares, rates and scores are between 0 and 1, or null where they mean nothing. -#}
{% test between_0_and_1(model, columns) %}
    select *
    from {{ model }}
    where {% for column in columns %}{{ column }} not between 0 and 1{% if not loop.last %} or {% endif %}{% endfor %}
{% endtest %}

{#- Values do not fall from one column to the next (percentiles, the times of steps). -#}
{% test never_falls(model, columns) %}
    select *
    from {{ model }}
    where {% for column in columns[1:] %}{{ columns[loop.index0] }} > {{ column }}{% if not loop.last %} or {% endif %}{% endfor %}
{% endtest %}

{#- A sentence about rows that must hold for all of them. -#}
{% test holds(model, expression) %}
    select *
    from {{ model }}
    where not coalesce({{ expression }}, true)
{% endtest %}
