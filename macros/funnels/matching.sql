{#-
    Sets of steps as bit masks, with their size, lowest and highest step.
-#}
{% macro step_sets(steps) -%}
    select
        step_set.mask,
        bit_count(step_set.mask::bit(16)) as size,
        (select min(step) from generate_series(1, {{ steps }}) as step where step_set.mask & (1 << (step - 1)) <> 0) as lowest,
        (select max(step) from generate_series(1, {{ steps }}) as step where step_set.mask & (1 << (step - 1)) <> 0) as highest
    from generate_series(1, {{ 2 ** steps - 1 }}) as step_set (mask)
{%- endmacro %}

{#-
    The furthest step that an instant brings an attempt to, which had done `done` steps before it.

    One event serves one step. A single event brings the next step or nothing. Several events of one instant may serve in
    any order: steps done + 1 .. m can be served by different events if every set of these steps is matched by at least as
    many events as it has steps (Hall's theorem), so the attempt gets as far as before the highest step of the first set
    for which that fails. `without` is the mask of an event that is not to be had (the one that opened the attempt).
-#}
{% macro furthest_step(instant, done, steps, without=none) -%}
    case
        when {{ instant }}.events = 1
            then {{ done }}{% if not without %} + (({{ instant }}.step_mask >> {{ done }}) & 1){% endif %}
        else (
            select coalesce(min(step_sets.highest) - 1, {{ steps }})
            from step_sets
            where
                step_sets.lowest > {{ done }}
                and step_sets.highest <= {{ steps }}
                and step_sets.size > (
                    select count(*) from unnest({{ instant }}.masks) as event (mask) where event.mask & step_sets.mask <> 0
                ){% if without %} - ({{ without }} & step_sets.mask <> 0)::integer{% endif %}
        )
    end
{%- endmacro %}
