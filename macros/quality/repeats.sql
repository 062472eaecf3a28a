{#-
    CTEs up to `questions_counted`: how many questions the customer of a conversation asked, and how many of them repeat
    one of the last few before (`repeat_lookback`): of the words of both, the share `repeat_similarity` is common. Of
    `messages` it reads these settings, `question_words` (the fewest of a question) and the customer's `word_set`.
-#}
{% macro questions_repeated(messages) %}
questions as (

    select
        *,
        row_number() over (
            partition by tenant_id, conversation_id
            order by {{ event_order() }}
        ) as question_number
    from {{ messages }}
    where cardinality(word_set) >= question_words

),

repeats as (

    select distinct
        later.tenant_id,
        later.conversation_id,
        later.event_id
    from questions as later
    cross join lateral generate_series(1, later.repeat_lookback) as back (steps)
    inner join questions as earlier
        on
            later.tenant_id = earlier.tenant_id
            and later.conversation_id = earlier.conversation_id
            and later.question_number - back.steps = earlier.question_number
    cross join lateral (
        select count(*) as words
        from unnest(later.word_set) as word
        where word = any(earlier.word_set)
    ) as common
    where
        common.words::numeric / (cardinality(later.word_set) + cardinality(earlier.word_set) - common.words)
        >= later.repeat_similarity

),

questions_counted as (

    select
        questions.tenant_id,
        questions.conversation_id,
        count(*) as questions,
        count(repeats.event_id) as repeated_questions
    from questions
    left join repeats
        on
            questions.tenant_id = repeats.tenant_id
            and questions.conversation_id = repeats.conversation_id
            and questions.event_id = repeats.event_id
    group by questions.tenant_id, questions.conversation_id

)
{% endmacro %}
