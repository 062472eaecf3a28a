{#- The build's "now": outcomes that depend on the clock depend on this and on nothing else. -#}
{% macro as_of() -%}
    {{ of_this_build('as_of', var('as_of') or run_started_at.isoformat()) }}::timestamptz
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
    (extract(epoch from {{ later }} - {{ earlier }}) * 1000)
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    extract(epoch from {{ later }} - {{ earlier }})
{%- endmacro %}

{#- How many whole hours one instant is after another. -#}
{% macro hours_between(earlier, later) -%}
    floor({{ seconds_between(earlier, later) }} / 3600)::integer
{%- endmacro %}

{#- Monday-based number (0..6) of a week's first day, from the tenants seed's `week_start`. -#}
{% macro week_start_offset(week_start) -%}
    (array_position(
        array['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'], lower({{ week_start }})
    ) - 1)
{%- endmacro %}

{#-
    The first day of the day, week, month, quarter or year that a date is in; of an hour, its day. A week starts on the
    tenant's day: shift the date back by it, take the Monday, shift forth. The period `all` begins on 1970-01-01 and never ends.
-#}
{% macro period_start(period, date, week_start) -%}
    case {{ period }}
        when 'hour' then {{ date }}
        when 'day' then {{ date }}
        when 'week' then
            (date_trunc('week', ({{ date }} - {{ week_start_offset(week_start) }})::timestamp))::date
            + {{ week_start_offset(week_start) }}
        when 'all' then '1970-01-01'::date
        else date_trunc({{ period }}, ({{ date }})::timestamp)::date
    end
{%- endmacro %}

{#-
    A period moved by whole periods: 1 is the next one, -1 the one before. What comes after `all` begins on a far date and
    not at infinity, which Python's drivers cannot read.
-#}
{% macro period_shift(period, start, by) -%}
    case {{ period }}
        when 'all' then '9999-12-31'::date
        when 'quarter' then ({{ start }} + ({{ by }}) * interval '3 months')::date
        else ({{ start }} + ({{ by }}) * ('1 ' || {{ period }})::interval)::date
    end
{%- endmacro %}

{#- How many whole periods a period's start is after another's. -#}
{% macro periods_between(period, earlier, later) -%}
    case {{ period }}
        when 'day' then {{ later }} - {{ earlier }}
        when 'week' then ({{ later }} - {{ earlier }}) / 7
        else
            (extract(year from {{ later }}) * 12 + extract(month from {{ later }})
            - extract(year from {{ earlier }}) * 12 - extract(month from {{ earlier }}))::integer
            / case {{ period }} when 'quarter' then 3 when 'year' then 12 else 1 end
    end
{%- endmacro %}
