"""Topics that stay: questions join the topic they are closest to, or found one together with their like."""

import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from parley.analytics.topics.encoders import BLOCK, FEATURES, Encoder, Lexicon, Sentences, Vectors, plain, shuffled
from parley.errors import ParleyError

NAMESPACE = uuid5(NAMESPACE_OID, "parley.analytics.topics")
FOUNDERS = 10_000  # texts grouped at a time: the distances between them take 0.4 GB, twice
NEIGHBOURS = 10
OUTGROWN = 2  # times the questions learned from
LEANING, STEPS = 0.8, 3  # how far, and how often, a question leans on its neighbours

Labels = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Question:
    question_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Assignment:
    question_id: str
    topic_id: str | None
    """None for a question without any text."""
    confidence: float
    """0 to 1: see `silhouette`."""


@dataclass(frozen=True, eq=False)
class TopicModel:
    """What was learned of one tenant's questions. Never changed: `assign` returns the model that knows more."""

    tenant_id: str
    encoder: Encoder
    topic_ids: tuple[str, ...] = ()
    """In order."""
    centres: Vectors | None = None
    """(topics, dimensions), each of length 1: the middle of the questions that founded the topic. It does not move."""
    learned_from: int = 0
    """Number of questions that the language was learned from."""

    def is_outgrown(self, questions: int) -> bool:
        """Whether a tenant with so many questions is better served by a `refit`: twice as many as were learned from.

        So all the refits of a tenant together read each question about twice.
        """
        return questions >= OUTGROWN * self.learned_from

    def forget(self, topic_ids: Iterable[str]) -> "TopicModel":
        """The model without these topics."""
        gone = set(topic_ids)
        centres = () if self.centres is None else self.centres
        return self._with(
            {topic: centre for topic, centre in zip(self.topic_ids, centres, strict=True) if topic not in gone}
        )

    def assign(self, questions: Iterable[Question]) -> tuple[list[Assignment], "TopicModel"]:
        """The topics of questions, in order of their ids, and the model with the topics they founded.

        What the model knows stays as it is, and the order of the questions does not matter. Raises ParleyError where
        two questions have one id.
        """
        by_text = _by_text(questions)
        texts = shuffled([text for text in by_text if text])
        vectors = self.encoder.encode(texts)
        known = vectors.any(axis=1)
        topics = [_topic_id(self.tenant_id, "text", text) for text in texts]  # for what the encoder knows nothing of
        grown, waiting = self, np.flatnonzero(known)
        while len(waiting):
            waiting = grown._join(vectors, waiting, topics)
            founders, waiting = waiting[:FOUNDERS], waiting[FOUNDERS:]
            grown = grown._found(vectors, founders, topics, [by_text[texts[each]] for each in founders.tolist()])
        confidences = grown.confidences(vectors, topics)
        placed = {text: (topic, value) for text, topic, value in zip(texts, topics, confidences, strict=True)}
        assignments = [
            Assignment(question_id, *placed.get(text, (None, 0.0)))
            for text, question_ids in by_text.items()
            for question_id in question_ids
        ]
        return sorted(assignments, key=lambda each: each.question_id), grown

    def _join(self, vectors: Vectors, waiting: Labels, topics: list[str]) -> Labels:
        """Put questions under the topic they are close to; returns those that are close to none."""
        if self.centres is None or not len(waiting):
            return waiting
        closest, cosines = [], []
        for start in range(0, len(waiting), BLOCK):
            alike = vectors[waiting[start : start + BLOCK]] @ self.centres.T
            closest.append(alike.argmax(axis=1))
            cosines.append(alike.max(axis=1))
        joins = np.concatenate(cosines) >= self.encoder.joins
        for question, topic in zip(waiting[joins], np.concatenate(closest)[joins], strict=True):
            topics[question] = self.topic_ids[topic]
        return waiting[~joins]

    def _found(
        self, vectors: Vectors, founders: Labels, topics: list[str], question_ids: Sequence[Sequence[str]]
    ) -> "TopicModel":
        """Group questions that are close to no topic, and found a topic on each group."""
        centres = dict(zip(self.topic_ids, () if self.centres is None else self.centres, strict=True))
        labels = _groups(vectors[founders], self.encoder)
        for label in range(labels.max(initial=-1) + 1):
            members = np.flatnonzero(labels == label)
            ids = sorted(chain.from_iterable(question_ids[int(member)] for member in members))
            topic = _free_topic_id(self.tenant_id, ids, centres)
            centres[topic] = normalize(vectors[founders[members]].mean(axis=0, keepdims=True))[0]
            for member in founders[members]:
                topics[member] = topic
        return self._with(centres)

    def _with(self, centres: Mapping[str, NDArray[np.float32]]) -> "TopicModel":
        ids = tuple(sorted(centres))
        return replace(self, topic_ids=ids, centres=np.vstack([centres[topic] for topic in ids]) if ids else None)

    def confidences(self, vectors: Vectors, topics: Sequence[str]) -> list[float]:
        """How sure it is that questions belong to their topics (see `silhouette`); 0 for topics without a centre."""
        own, rival = self.closeness(vectors, topics)
        return [round(float(each), 4) for each in silhouette(own, rival)]

    def closeness(self, vectors: Vectors, topics: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Cosines of questions to the centres of their own topics, and to the closest other one, 0 where none is."""
        own, rival = np.zeros((2, len(vectors)), np.float32)
        if self.centres is None:
            return own, rival
        numbers = {topic: number for number, topic in enumerate(self.topic_ids)}
        columns = np.array([numbers.get(topic, -1) for topic in topics], dtype=np.intp)
        for start in range(0, len(vectors), BLOCK):
            block = slice(start, start + BLOCK)
            alike, placed = vectors[block] @ self.centres.T, np.flatnonzero(columns[block] >= 0)
            own[start + placed] = alike[placed, columns[block][placed]]
            alike[placed, columns[block][placed]] = 0
            rival[block] = alike.max(axis=1)
        return own, rival

    def to_bytes(self) -> bytes:
        """The model as a NumPy archive of plain arrays (.npz): the same model gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "tenant": np.array(self.tenant_id),
            "encoder": np.array(type(self.encoder).__name__),
            "topic_ids": np.array(self.topic_ids, dtype="U36"),
            "centres": np.zeros((0, 0), np.float32) if self.centres is None else self.centres,
            "learned_from": np.array(self.learned_from),
        }
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays, **self.encoder.arrays())
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "TopicModel":
        """Read what `to_bytes` wrote; nothing in it is executed. Raises ParleyError where it is something else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = dict(archive)
            topic_ids, centres = tuple(map(str, arrays["topic_ids"])), arrays["centres"].astype(np.float32)
            encoder = _encoder(str(arrays["encoder"]), arrays)
            if len(centres) != len(topic_ids):
                raise ValueError("centres and topics differ in number")
            learned_from = int(arrays["learned_from"])
            return cls(str(arrays["tenant"]), encoder, topic_ids, centres if topic_ids else None, learned_from)
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
            raise ParleyError(
                "The stored topic model cannot be read by this version of Parley: learn the topics anew (refit)."
            ) from None


def _encoder(kind: str, arrays: Mapping[str, NDArray[Any]]) -> Encoder:
    if kind == Sentences.__name__:
        return Sentences()
    weights, components = arrays["weights"].astype(np.float32), arrays["components"].astype(np.float16)
    if kind != Lexicon.__name__ or weights.shape != (FEATURES,) or len(components) != FEATURES:
        raise ValueError(f"{kind} of another shape")
    return Lexicon(weights, components)


def learn(tenant_id: str, questions: Iterable[Question], *, sentences: bool = False) -> TopicModel:
    """A model that knows a tenant's language and no topics yet; with `sentences`, by the extra `embeddings`.

    Raises ParleyError where there is no question with a text.
    """
    by_text = _by_text(questions)
    encoder = Sentences() if sentences else Lexicon.learn(list(by_text))
    return TopicModel(tenant_id, encoder, learned_from=sum(map(len, by_text.values())))


def refit(
    tenant_id: str, questions: Iterable[Question], known: Mapping[str, str | None], *, sentences: bool = False
) -> tuple[list[Assignment], TopicModel]:
    """Learn the language and the topics of all questions anew.

    A topic keeps the id of the old one (`known`, by question id) that it shares most questions with, where these are
    more than half of either. Raises ParleyError where there is no question with a text.
    """
    questions = list(questions)
    assignments, model = learn(tenant_id, questions, sentences=sentences).assign(questions)
    names = _inherited(model, assignments, known)
    centres = () if model.centres is None else model.centres
    renamed = model._with({names[topic]: centre for topic, centre in zip(model.topic_ids, centres, strict=True)})
    return [
        each if each.topic_id is None else replace(each, topic_id=names.get(each.topic_id, each.topic_id))
        for each in assignments
    ], renamed


def _inherited(model: TopicModel, assignments: Sequence[Assignment], known: Mapping[str, str | None]) -> dict[str, str]:
    """The id under which each topic of a new model goes on."""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for each in assignments:
        if each.topic_id in model.topic_ids:
            members[each.topic_id].append(each.question_id)
    new = {topic: number for number, topic in enumerate(model.topic_ids)}
    old = {topic: number for number, topic in enumerate(sorted({topic for topic in known.values() if topic}))}
    shared = np.zeros((len(new), len(old)), np.int64)
    for topic, question_ids in members.items():
        for question_id in question_ids:
            if before := known.get(question_id):
                shared[new[topic], old[before]] += 1
    smaller = np.minimum(shared.sum(axis=1, keepdims=True), shared.sum(axis=0, keepdims=True))
    pairs = zip(*linear_sum_assignment(-shared), strict=True)
    kept = {int(row): int(column) for row, column in pairs if shared[row, column] * 2 > smaller[row, column]}
    old_ids = list(old)
    names = {topic: old_ids[kept[number]] for topic, number in new.items() if number in kept}
    for topic in new:
        if topic not in names:
            names[topic] = _free_topic_id(model.tenant_id, sorted(members[topic]), {*old, *names.values()})
    return names


def silhouette(own: Vectors, rival: Vectors) -> Vectors:
    """Simplified silhouettes, 0 to 1: 1 − (1 − cosine to the own centre) / (1 − cosine to the closest other centre).

    0 where another topic is as close. Hruschka, Campello, de Castro: Evolving clusters in gene-expression data,
    Information Sciences 176 (2006).
    """
    away = np.maximum(1 - np.maximum(rival, 0), 1e-6)
    silhouettes: Vectors = np.clip(1 - np.maximum(1 - own, 0) / away, 0, 1).astype(np.float32)
    return silhouettes


def _by_text(questions: Iterable[Question]) -> dict[str, list[str]]:
    """The ids of questions by their plain text, in order."""
    texts: dict[str, str] = {}
    for question in questions:
        text = plain(question.text)
        if texts.setdefault(question.question_id, text) != text:
            raise ParleyError("Two questions have the same id and different texts: give every question its own id.")
    by_text: defaultdict[str, list[str]] = defaultdict(list)
    for question_id in sorted(texts):
        by_text[texts[question_id]].append(question_id)
    return by_text


def _topic_id(tenant_id: str, kind: str, founder: str) -> str:
    return str(uuid5(NAMESPACE, json.dumps([tenant_id, kind, founder])))


def _free_topic_id(tenant_id: str, founders: Sequence[str], taken: Iterable[str]) -> str:
    """The id that the first founder gives which no topic has; one founder may have founded another topic before."""
    taken = frozenset(taken)
    again = (_topic_id(tenant_id, f"question, {number}", founders[0]) for number in count(2))
    ids = chain((_topic_id(tenant_id, "question", founder) for founder in founders), again)
    return next(each for each in ids if each not in taken)


def _groups(vectors: Vectors, encoder: Encoder) -> Labels:
    """Groups of like questions, numbered from 0: average linkage of what is left when each leans on its neighbours.

    The number of groups comes from the height at which the tree is cut, not from the number of questions.
    """
    if len(vectors) < 2:
        return np.zeros(len(vectors), np.intp)
    tree = linkage(_leaning(vectors, encoder.near), "average")
    height = np.sqrt(2 - 2 * encoder.same)  # the distance of two vectors of length 1 with that cosine
    labels: Labels = (fcluster(tree, height, "distance") - 1).astype(np.intp)
    return labels


def _leaning(vectors: Vectors, near: float) -> Vectors:
    """Vectors drawn towards those of their nearest neighbours, the more the closer; what has none stays."""
    neighbours, cosines = _neighbours(vectors)
    weights = np.maximum(cosines - near, 0)
    rows = np.repeat(np.arange(len(vectors)), neighbours.shape[1])
    graph = csr_array((weights.ravel(), (rows, neighbours.ravel())), shape=(len(vectors), len(vectors)))
    graph = normalize(graph.maximum(graph.T), norm="l1")
    share = LEANING * (graph.sum(axis=1) > 0).astype(np.float32)[:, np.newaxis]
    for _ in range(STEPS):
        vectors = normalize(share * (graph @ vectors) + (1 - share) * vectors)
    return vectors


def _neighbours(vectors: Vectors) -> tuple[Labels, Vectors]:
    """The nearest other rows of each row and their cosines: (rows, neighbours)."""
    k = min(NEIGHBOURS, len(vectors) - 1)
    neighbours, cosines = [], []
    for start in range(0, len(vectors), 1_000):
        alike = vectors[start : start + 1_000] @ vectors.T
        own = np.arange(len(alike))
        alike[own, start + own] = -2
        nearest = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        neighbours.append(nearest)
        cosines.append(np.take_along_axis(alike, nearest, axis=1))
    return np.vstack(neighbours), np.vstack(cosines)
