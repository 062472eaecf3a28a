{#-
    Milliseconds between two instants in which a tenant was open: on its clock, by the seed `opening_hours` (its own rows,
    else those of `*`; without any it is always open, and `always_open` holds), and never on a day of the seed `holidays`. `tenant` is an alias with
    `tenant_id` and `time_zone`. What is open on a day when the clock changes lasts as long as it lasts.
-#}
{% macro open_milliseconds(tenant, earlier, later, always_open) -%}
    case
        when
            not exists (
                select 1 from {{ ref('opening_hours') }} as hours where hours.tenant_id in ('*', {{ tenant }}.tenant_id)
            )
            then {{ always_open }}
        when {{ later }} is not null then (
            select
                coalesce(
                    sum(
                        greatest(
                            extract(epoch from least({{ later }}, spans.closes_at) - greatest({{ earlier }}, spans.opens_at)),
                            0
                        )
                    ),
                    0
                )::double precision * 1000
            from (
                select
                    (days.day + hours.opens::interval) at time zone {{ tenant }}.time_zone as opens_at,
                    (days.day + hours.closes::interval) at time zone {{ tenant }}.time_zone as closes_at
                from generate_series(
                    {{ local_date(earlier, tenant ~ '.time_zone') }}::timestamp,
                    {{ local_date(later, tenant ~ '.time_zone') }}::timestamp,
                    interval '1 day'
                ) as days (day)
                inner join {{ ref('opening_hours') }} as hours
                    on {{ week_start_offset('hours.weekday') }} + 1 = date_part('isodow', days.day)
                where
                    hours.tenant_id = (
                        select case when bool_or(own.tenant_id <> '*') then {{ tenant }}.tenant_id else '*' end
                        from {{ ref('opening_hours') }} as own
                        where own.tenant_id in ('*', {{ tenant }}.tenant_id)
                    )
                    and not exists (
                        select 1 from {{ ref('holidays') }} as holidays
                        where holidays.date = days.day::date and holidays.tenant_id in ('*', {{ tenant }}.tenant_id)
                    )
            ) as spans
        )
    end
{%- endmacro %}
