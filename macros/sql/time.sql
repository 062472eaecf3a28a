{#- The build's "now": outcomes that depend on the clock depend on this and on nothing else. -#}
{% macro as_of() -%}
    '{{ var("as_of") or run_started_at.isoformat() }}'::timestamptz
{%- endmacro %}

{#- The calendar date of an instant in a time zone. -#}
{% macro local_date(instant, time_zone) -%}
    ({{ instant }} at time zone {{ time_zone }})::date
{%- endmacro %}

{#- The instant at which a date begins in a time zone. -#}
{% macro local_midnight(date, time_zone) -%}
    (({{ date }})::timestamp at time zone {{ time_zone }})
{%- endmacro %}

{#- Milliseconds from one instant to another, exact to the microsecond (numeric). -#}
{% macro milliseconds_between(earlier, later) -%}
    ((extract(epoch from {{ later }}) - extract(epoch from {{ earlier }})) * 1000)
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    (extract(epoch from {{ later }}) - extract(epoch from {{ earlier }}))
{%- endmacro %}

{#- Monday-based number (0..6) of a week's first day, from the tenants seed's `week_start`. -#}
{% macro week_start_offset(week_start) -%}
    (array_position(
        array['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'], lower({{ week_start }})
    ) - 1)
{%- endmacro %}

{#-
    The first day of the day, week, month, quarter or year that a date is in. A week starts on the tenant's day: shift
    the date back by it, take the Monday, shift forth.
-#}
{% macro period_start(period, date, week_start) -%}
    case {{ period }}
        when 'day' then {{ date }}
        when 'week' then
            (date_trunc('week', ({{ date }} - {{ week_start_offset(week_start) }})::timestamp))::date
            + {{ week_start_offset(week_start) }}
        when 'month' then date_trunc('month', ({{ date }})::timestamp)::date
        when 'quarter' then date_trunc('quarter', ({{ date }})::timestamp)::date
        when 'year' then date_trunc('year', ({{ date }})::timestamp)::date
    end
{%- endmacro %}

{#- A period moved by whole periods: 1 is the next one, -1 the one before. -#}
{% macro period_shift(period, start, by) -%}
    ({{ start }} + {{ by }} * case {{ period }}
        when 'day' then interval '1 day'
        when 'week' then interval '7 days'
        when 'month' then interval '1 month'
        when 'quarter' then interval '3 months'
        when 'year' then interval '1 year'
    end)::date
{%- endmacro %}
