"""What a topic is called: words of its own, as one of its questions has them."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from parley.analytics.topics.encoders import JAPANESE, LETTER, Vectors, shuffled
from parley.analytics.topics.model import Question, TopicModel, silhouette
from parley.analytics.topics.stopwords import STOP_WORDS
from parley.analytics.topics.vocabulary import Vocabulary

EXAMPLES = 5
WORDS_IN_NAME = 3
LONGEST_NAME = 60  # characters
COMMON = 0.1  # share of a topic's questions that a word of its name is in
RARE = 0.3  # a word is left out that is so much rarer in the topic than its most frequent one
SAMPLE = 200  # texts of a topic that are looked at closely

# French elisions (l', qu') come apart from their words; Japanese words in hiragana alone are mostly grammar.
_ELISION = re.compile(r"\b(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu)['’](?=\w{2})")
_WORD = re.compile(rf"{JAPANESE}|{LETTER}+(?:['’][^\W\d_]+)*")
_HIRAGANA = re.compile(r"[ぁ-ゖー]+")


@dataclass(frozen=True, slots=True)
class Description:
    topic_id: str
    name: str
    confidence: float
    """0 to 1: the mean silhouette of its questions, times n / (n + 1) for n different ones, as one is no pattern."""
    examples: tuple[str, ...]
    """Up to five different questions, the closest to the centre first."""


def words(text: str) -> list[str]:
    """The words of a plain text that may tell what it is about, in order."""
    found = (word.replace("’", "'") for word in _WORD.findall(_ELISION.sub(" ", text)))
    return [word for word in found if word not in STOP_WORDS and _tells(word)]


def _tells(word: str) -> bool:
    is_short = len(word) == 1 and word.isascii()
    return not (is_short or word.isdigit() or _HIRAGANA.fullmatch(word))


def describe(
    model: TopicModel, placed: Iterable[tuple[Question, str]], only: Collection[str] | None = None
) -> list[Description]:
    """Describe topics, in order of their ids, from all questions and the ids of their topics.

    With `only`, those topics alone, which is quicker: but what sets them apart is computed from all questions.
    """
    members: defaultdict[str, dict[str, Question]] = defaultdict(dict)
    for question, topic in placed:
        text = model.vocabulary.cleaned(question.text)
        first = members[topic].setdefault(text, question)
        if question.question_id < first.question_id:
            members[topic][text] = question
    words_of = {topic: {text: words(text) for text in texts} for topic, texts in members.items()}
    texts_with = {
        topic: Counter(word for each in found.values() for word in set(each)) for topic, found in words_of.items()
    }
    everywhere = sum(texts_with.values(), Counter())
    per_topic = sum(everywhere.values()) / max(len(members), 1)
    wanted = sorted(members if only is None else members.keys() & set(only))
    sampled = {topic: shuffled(list(members[topic]))[:SAMPLE] for topic in wanted}
    vectors = model.encoder.encode([text for texts in sampled.values() for text in texts])
    ends = np.cumsum([len(texts) for texts in sampled.values()])
    return [
        _describe(
            model,
            topic,
            texts,
            vectors[end - len(texts) : end],
            members[topic],
            words_of[topic],
            _of_concepts(
                model.vocabulary,
                _scores(_common(texts_with[topic], len(members[topic])), everywhere, per_topic),
                list(members[topic]),
            ),
        )
        for (topic, texts), end in zip(sampled.items(), ends, strict=True)
    ]


def _common(texts_with: Counter[str], texts: int) -> Counter[str]:
    """Words that more than one question has and not only a few: chance words are none of the topic's own.

    Those much rarer than the topic's most frequent word are left out where others are left; all words count where the
    questions have none in common.
    """
    enough = max(2, COMMON * texts)
    common = Counter({word: number for word, number in texts_with.items() if number >= enough})
    frequent = Counter(
        {word: number for word, number in common.items() if number >= RARE * max(texts_with.values(), default=0)}
    )
    return (frequent if len(frequent) > 1 else common) or texts_with


def _scores(texts_with: Counter[str], everywhere: Counter[str], per_topic: float) -> dict[str, float]:
    """Class-based TF-IDF: a word's frequency in the topic × log(1 + words per topic / its frequency in all topics).

    Grootendorst: BERTopic (2022), arXiv 2203.05794. Frequencies are numbers of different questions here.
    """
    return {word: number * log(1 + per_topic / everywhere[word]) for word, number in texts_with.items()}


def _of_concepts(vocabulary: Vocabulary, scores: dict[str, float], texts: Sequence[str]) -> dict[str, float]:
    """Scores that count words more which stand for what many of the questions are about, in whatever words."""
    about = Counter(concept for text in texts for concept in vocabulary.concepts_in(text))
    return {
        word: score * (1 + 2 * max((about[each] for each in vocabulary.concepts_in(word)), default=0) / len(texts))
        for word, score in scores.items()
    }


def _describe(
    model: TopicModel,
    topic: str,
    texts: Sequence[str],
    vectors: Vectors,
    members: Mapping[str, Question],
    words_of: Mapping[str, list[str]],
    scores: Mapping[str, float],
) -> Description:
    own, rival = model.closeness(vectors, [topic] * len(texts))
    closeness = {text: round(float(each), 4) for text, each in zip(texts, own, strict=True)}
    closest = sorted(texts, key=lambda text: (-closeness[text], text))
    confidence = float(silhouette(own, rival).mean()) * len(members) / (len(members) + 1)
    return Description(
        topic,
        _name(closest, words_of, scores),
        round(confidence, 4),
        tuple(" ".join(members[text].text.split()) for text in closest[:EXAMPLES]),
    )


def _name(closest: list[str], words_of: Mapping[str, list[str]], scores: Mapping[str, float]) -> str:
    """The most telling words of the question that has most of what is telling; the closest of several such ones."""
    telling = set(sorted(scores, key=lambda word: (-scores[word], word))[: 2 * WORDS_IN_NAME])

    def best(text: str) -> list[str]:
        return sorted(telling.intersection(words_of[text]), key=lambda word: (-scores[word], word))[:WORDS_IN_NAME]

    typical = max(closest, key=lambda text: round(sum(scores[word] for word in best(text)), 6))
    chosen = best(typical)
    name = " ".join(word for word in dict.fromkeys(words_of[typical]) if word in chosen)
    return (name or typical)[:LONGEST_NAME].strip()
