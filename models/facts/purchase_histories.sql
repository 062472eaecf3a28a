{{ config(
    unique_key=['tenant_id', 'user_id'],
    meta={'rebuild': {
        'key': {'user_id': 'id'},
        'reads': {'user_days': 'user'},
    }}
) }}

with buying_days as (

    select
        days.*,
        min(days.date) over (partition by days.tenant_id, days.user_id) as first_date
    from {{ ref('user_days') }} as days
    {{ only_affected('days') }}
    where days.orders > 0

),

final as (

    select
        tenant_id,
        user_id,
        first_date as first_order_on,
        max(date) as last_order_on,
        -- orders of one day are one purchase, as in the models that are fitted to this
        count(*) - 1 as repeat_days,
        (max(date) - first_date)::double precision as recency_days,
        {{ mean('revenue', where='date > first_date') }} as repeat_value,
        sum(revenue)::double precision as revenue
    from buying_days
    group by tenant_id, user_id, first_date

)

select * from final
