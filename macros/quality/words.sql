{#-
    A text as its words in small letters with one space before, between and after them, so that ` thank you ` finds the
    term as whole words. Case and punctuation are listed, not asked of the database's locale. Kana and Chinese characters
    are words of their own, since Japanese writes no spaces.
-#}
{% macro plain_words(text) -%}
    {%- set spaced = "lower(' ' || " ~ text ~ " || ' ' collate \"C\")" -%}
    regexp_replace(
        case
            -- in English, as most: looking through the lists of other letters costs more than all else
            when octet_length({{ text }}) = length({{ text }}) then {{ spaced }}
            else regexp_replace(
                translate(
                    {{ spaced }},
                    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞŒŸ',
                    'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþœÿ'
                ),
                '([\u3040-\u30ff\u3400-\u9fff])', ' \1 ', 'g'
            )
        end,
        '[\u0001-/:-@\[-`{-\u00bf\u00d7\u00f7\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+', ' ', 'g'
    )
{%- endmacro %}

{#- The lexicon's terms of one kind that a speaker may say, as a pattern for `plain_words`; null where there are none. -#}
{% macro any_term(speaker, kind) -%}
    ' ('
    || string_agg(btrim({{ plain_words('term') }}), '|' order by term collate "C")
        filter (where speaker in ('{{ speaker }}', 'both') and kind = '{{ kind }}' and {{ plain_words('term') }} <> ' ')
    || ') '
{%- endmacro %}
