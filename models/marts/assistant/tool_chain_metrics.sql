{{ config(
    unique_key=['tenant_id', 'date'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'tool_chains': 'day', 'tool_calls': 'day', 'tenant_days': 'day'},
        'date': 'date',
    }}
) }}

with chains as (

    select
        chains.tenant_id,
        chains.occurred_on as date,
        count(*) as chains,
        {{ mean('chains.tool_count') }} as tool_chain_length_avg,
        {{ ratio('count(*) filter (where chains.success)', 'count(chains.success)') }} as chain_success_rate
    from {{ ref('tool_chains') }} as chains
    {{ only_affected('chains', date='occurred_on') }}
    group by chains.tenant_id, chains.occurred_on

),

navigation as (

    select
        calls.tenant_id,
        calls.called_on as date,
        count(*) as navigation_calls,
        {{ ratio('count(*) filter (where calls.optimistic)', 'count(*)') }} as navigation_optimism_rate
    from {{ ref('tool_calls') }} as calls
    {{ only_affected('calls', date='called_on') }}
    where calls.tool_kind = 'navigation' and calls.status = 'completed'
    group by calls.tenant_id, calls.called_on

),

chained as (

    select
        coalesce(chains.tenant_id, navigation.tenant_id) as tenant_id,
        coalesce(chains.date, navigation.date) as date,
        coalesce(chains.chains, 0) as chains,
        chains.tool_chain_length_avg,
        chains.chain_success_rate,
        coalesce(navigation.navigation_calls, 0) as navigation_calls,
        navigation.navigation_optimism_rate
    from chains
    full outer join navigation on chains.tenant_id = navigation.tenant_id and chains.date = navigation.date

),

final as (

    {{ on_each_day(
        'chained',
        counts=[
            'chains', 'navigation_calls',
        ],
        others=[
            'tool_chain_length_avg', 'chain_success_rate', 'navigation_optimism_rate',
        ],
    ) }}

)

select * from final
