{#-
    The events that are not in a fact that they belong to, as rows of (tenant_id, event_id, event_name, occurred_on,
    received_on, fact). It goes by the events, and not by what a fact says of itself. `events` has the `columns_to_place`
    of whole days, or of all that arrived on some; `facts` are those to look into.

    An event that names no order, booking or person belongs to fewer facts, and every one to facts.event_days.
-#}
{% macro unplaced_events(events, facts) %}
    {% for fact in facts %}
    {{ 'union all' if not loop.first }}
    select
        events.tenant_id,
        events.event_id,
        events.event_name,
        events.occurred_on,
        events.received_on,
        '{{ fact }}' as fact
    {% if fact == 'conversations' -%}
    {{ not_counted_in_conversations(events) }}
    {%- elif fact in facts_that_count() -%}
    {{ not_counted_in(fact, events, **facts_that_count()[fact]) }}
    {%- elif fact in facts_of_stretches() -%}
    {{ not_within(fact, events, **facts_of_stretches()[fact]) }}
    {%- else -%}
    {{ without_a_row(fact, events, **facts_of_one_row()[fact]) }}
    {%- endif %}
    {% endfor %}
{% endmacro %}

{#- What says which facts an event of staging belongs to. Few columns: they are read again for each fact. -#}
{% macro columns_to_place(event) -%}
    {%- for column in [
        'tenant_id', 'event_id', 'event_name', 'thread_id', 'conversation_id', 'user_id', 'channel', 'occurred_at',
        'occurred_on', 'received_on', 'actor', 'order_id', 'booking_id', 'experiment', 'variant'
    ] -%}
    {{ event }}.{{ column }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- Every fact that events belong to. -#}
{% macro facts_of_events() %}
    {% do return(
        ['conversations'] + (facts_that_count().keys() | list) + (facts_of_stretches().keys() | list)
        + (facts_of_one_row().keys() | list)
    ) %}
{% endmacro %}

{% macro without_a_row(fact, events, belongs, is_there, or_there=[]) %}
    from {{ events }} as events
    where
        ({{ belongs }})
        {%- for condition in [is_there] + or_there %}
        and not exists (
            select 1
            from {{ ref(fact) }} as fact
            where fact.tenant_id = events.tenant_id and {{ condition }}
        )
        {%- endfor %}
{% endmacro %}

{#- By one look at an index each, so that a chat that never ends costs what its events cost. -#}
{% macro not_within(fact, events, belongs, by, begins, ends) %}
    from {{ events }} as events
    where
        ({{ belongs }})
        and not coalesce((
            select {{ ends }} >= events.occurred_at
            from {{ ref(fact) }} as fact
            where
                fact.tenant_id = events.tenant_id
                and fact.{{ by }} = events.{{ by }}
                and {{ begins }} <= events.occurred_at
            order by {{ begins }} desc, {{ ends }} desc
            limit 1
        ), false)
{% endmacro %}

{% macro not_counted_in(fact, events, by, belongs) %}
    from (
        select
            *,
            count(*) over (partition by tenant_id{% for _, column in by %}, {{ column }}{% endfor %}) as together
        from {{ events }}
        where {{ belongs }}
    ) as events
    left join {{ ref(fact) }} as fact
        on
            events.tenant_id = fact.tenant_id
            {%- for own, column in by %} and events.{{ column }} = fact.{{ own }}{% endfor %}
    where events.together > coalesce(fact.events, 0)
{% endmacro %}

{#- A conversation counts its events of every day. -#}
{% macro not_counted_in_conversations(events) %}
    from {{ events }} as events
    inner join (
        select
            of_thread.tenant_id,
            of_thread.thread_id,
            count(*) as together
        from {{ ref('stg_events') }} as of_thread
        inner join (
            select distinct tenant_id, thread_id from {{ events }} where conversation_id is not null
        ) as asked_for on of_thread.tenant_id = asked_for.tenant_id and of_thread.thread_id = asked_for.thread_id
        group by of_thread.tenant_id, of_thread.thread_id
        having bool_or(of_thread.marks_conversation)
    ) as threads on events.tenant_id = threads.tenant_id and events.conversation_id = threads.thread_id
    left join {{ ref('conversations') }} as fact
        on events.tenant_id = fact.tenant_id and events.conversation_id = fact.conversation_id
    where threads.together > coalesce(fact.events, 0)
{% endmacro %}

{#- Condition: retention has not frozen the event's day. -#}
{% macro is_no_history(events) -%}
    not exists (
        select 1
        from ops.raw_horizon as horizon
        where horizon.tenant_id = {{ events }}.tenant_id and {{ events }}.occurred_on < horizon.frozen_before
    )
{%- endmacro %}
