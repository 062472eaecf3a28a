{#-
    What one unit of `currency` is in `own` on a day: the latest rate of the seed `exchange_rates` on or before it. A lateral
    relation of the column `rate`, without a row where no rate is known. No rate is inverted or chained.
-#}
{% macro exchange_rate(currency, own, day) -%}
    lateral (
        select candidates.rate
        from {{ ref('exchange_rates') }} as candidates
        where
            upper(candidates.from_currency) = {{ currency }}
            and upper(candidates.to_currency) = {{ own }}
            and candidates.date <= {{ day }}
        order by candidates.date desc
        limit 1
    )
{%- endmacro %}

{#- An amount in the tenant's own currency; null where it is in another one of which no rate is known. -#}
{% macro in_own_currency(amount, currency, own, rate, type='numeric(20, 4)') -%}
    case
        when {{ currency }} = {{ own }} then {{ amount }}
        else ({{ amount }} * {{ rate }})::{{ type }}
    end
{%- endmacro %}
