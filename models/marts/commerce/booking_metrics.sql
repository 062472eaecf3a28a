{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'bookings': ['held', 'requested', 'confirmed'], 'tenant_days': 'day'},
        'date': 'date',
    }}
) }}

with holds as (

    select
        bookings.tenant_id,
        bookings.held_on as date,
        count(*) as holds,
        count(bookings.confirmed_at) as confirmed_of_held
    from {{ ref('bookings') }} as bookings
    {{ only_affected('bookings', date='held_on') }}
    where bookings.held_on is not null
    group by bookings.tenant_id, bookings.held_on

),

requests as (

    select
        bookings.tenant_id,
        bookings.requested_on as date,
        count(*) as requests,
        count(bookings.confirmed_at) as confirmed_of_requested,
        count(*) filter (where bookings.is_other_currency) as other_currency_requests,
        sum(bookings.estimated_value)::numeric(20, 4) as estimated_total
    from {{ ref('bookings') }} as bookings
    {{ only_affected('bookings', date='requested_on') }}
    where bookings.requested_on is not null
    group by bookings.tenant_id, bookings.requested_on

),

confirmations as (

    select
        bookings.tenant_id,
        bookings.confirmed_on as date,
        count(*) as confirmations
    from {{ ref('bookings') }} as bookings
    {{ only_affected('bookings', date='confirmed_on') }}
    where bookings.confirmed_on is not null
    group by bookings.tenant_id, bookings.confirmed_on

),

dates as (

    select tenant_id, date from holds
    union
    select tenant_id, date from requests
    union
    select tenant_id, date from confirmations

),

booked as (

    select
        dates.tenant_id,
        dates.date,
        coalesce(holds.holds, 0) as holds,
        coalesce(requests.requests, 0) as requested,
        coalesce(confirmations.confirmations, 0) as confirmed,
        {{ ratio('holds.confirmed_of_held', 'holds.holds') }} as hold_to_confirm_rate,
        {{ ratio('requests.confirmed_of_requested', 'requests.requests') }} as request_to_confirm_rate,
        coalesce(requests.other_currency_requests, 0) as other_currency_requests,
        coalesce(requests.estimated_total, 0)::numeric(20, 4) as estimated_total
    from dates
    left join holds on dates.tenant_id = holds.tenant_id and dates.date = holds.date
    left join requests on dates.tenant_id = requests.tenant_id and dates.date = requests.date
    left join confirmations on dates.tenant_id = confirmations.tenant_id and dates.date = confirmations.date

),

final as (

    {{ on_each_day(
        'booked',
        counts=[
            'holds', 'requested', 'confirmed', 'other_currency_requests',
        ],
        amounts=[
            'estimated_total',
        ],
        others=[
            'hold_to_confirm_rate', 'request_to_confirm_rate',
        ],
    ) }}

)

select * from final
