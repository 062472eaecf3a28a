{{ config(
    unique_key=['tenant_id', 'date', 'model', 'channel', 'actor', 'bucket'],
    meta={'rebuild': {
        'key': {'date': 'date'},
        'reads': {'responses': 'day'},
        'date': 'date',
    }}
) }}

with responses as (

    select
        responses.*,
        {{ latency_bucket('responses.duration_ms') }} as bucket
    from {{ ref('responses') }} as responses
    {{ only_affected('responses', date='responded_on') }}

),

final as (

    select
        tenant_id,
        responded_on as date,
        model,
        channel,
        actor,
        bucket,
        {{ latency_of_bucket('bucket') }} as bucket_ms,
        count(*) as responses
    from responses
    group by tenant_id, responded_on, model, channel, actor, bucket

)

select * from final
