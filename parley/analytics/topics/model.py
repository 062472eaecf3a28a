"""Topics that stay: questions join the topic they are closest to, or found one together with their like."""

import io
import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from sklearn.preprocessing import normalize

from parley.analytics.topics.encoders import BLOCK, FEATURES, Encoder, Lexicon, Sentences, Vectors, shuffled
from parley.analytics.topics.vocabulary import Vocabulary
from parley.errors import ParleyError

NAMESPACE = uuid5(NAMESPACE_OID, "parley.analytics.topics")
FOUNDERS = 10_000  # texts grouped at a time: the distances between them take 0.4 GB, twice
NEIGHBOURS = 10
OUTGROWN = 1.5  # times the questions learned from
MOST_FOLDED = 2_000  # topics compared with each other
LINKED = 2, 0.25  # topics belong together that were asked one after the other so often, and in such a share of cases
LEANING, STEPS = 0.8, 3  # how far, and how often, a question leans on its neighbours

Labels = NDArray[np.intp]
Links = Mapping[tuple[str, str], int]
"""How often one was asked right after the other, by the ids of both."""


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


class _Centre(NamedTuple):
    topic: str
    middle: NDArray[np.float32]
    total: NDArray[np.float32]
    texts: int


@dataclass(frozen=True, eq=False)
class TopicModel:
    """What was learned of one tenant's questions. Never changed: `assign` returns the model that knows more."""

    tenant_id: str
    encoder: Encoder
    owners: tuple[str, ...] = ()
    """The topic of each centre, in order: a topic has a centre for each group of questions that it was made of."""
    centres: Vectors | None = None
    """(centres, dimensions), each of length 1: the middle of the questions that founded it. It does not move."""
    totals: Vectors | None = None
    """(centres, dimensions): the vectors of the texts that founded or joined each, added up."""
    texts: NDArray[np.int64] | None = None
    """(centres,): how many they are."""
    learned_from: int = 0
    """Number of questions that the language was learned from."""
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @property
    def topic_ids(self) -> tuple[str, ...]:
        """In order."""
        return tuple(dict.fromkeys(self.owners))

    def is_outgrown(self, questions: int) -> bool:
        """Whether a tenant with so many questions is better served by a `refit`: half as many again as were
        learned from.

        So all the refits of a tenant together read each question about three times.
        """
        return questions >= OUTGROWN * self.learned_from

    def forget(self, topic_ids: Iterable[str]) -> "TopicModel":
        """The model without these topics."""
        gone = set(topic_ids)
        return self._with([centre for centre in self._owned() if centre.topic not in gone])

    def assign(
        self, questions: Iterable[Question], links: Links | None = None
    ) -> tuple[list[Assignment], "TopicModel"]:
        """The topics of questions, in order of their ids, and the model with the topics they founded.

        Questions that customers asked one right after the other (`links`, by question id) are drawn together. What the
        model knows stays as it is, and the order of the questions does not matter. Raises ParleyError where two
        questions have one id.
        """
        by_text = _by_text(questions, self.vocabulary)
        texts = shuffled([text for text in by_text if text])
        linked = _linked(texts, by_text, links or {})
        vectors = self.encoder.encode(texts)
        known = vectors.any(axis=1)
        topics = [_topic_id(self.tenant_id, "text", text) for text in texts]  # for what the encoder knows nothing of
        grown, waiting = self, np.flatnonzero(known)
        while len(waiting):
            grown, waiting = grown._join(vectors, waiting, topics)
            founders, waiting = waiting[:FOUNDERS], waiting[FOUNDERS:]
            ids = [by_text[texts[each]] for each in founders.tolist()]
            grown = grown._found(vectors, founders, topics, ids, linked[founders][:, founders])
        confidences = grown.confidences(vectors, topics)
        placed = {text: (topic, value) for text, topic, value in zip(texts, topics, confidences, strict=True)}
        assignments = [
            Assignment(question_id, *placed.get(text, (None, 0.0)))
            for text, question_ids in by_text.items()
            for question_id in question_ids
        ]
        return sorted(assignments, key=lambda each: each.question_id), grown

    def _holding(self, questions: Iterable[Question], kept: Mapping[str, str | None]) -> "TopicModel":
        """The model with a topic of each id in `kept` (by question id), founded by these questions."""
        texts: defaultdict[str, set[str]] = defaultdict(set)
        for question in questions:
            if topic := kept.get(question.question_id):
                texts[topic].add(self.vocabulary.cleaned(question.text))
        held = [_centre(topic, self.encoder.encode(sorted(found))) for topic, found in texts.items()]
        return self._with([*self._owned(), *(centre for centre in held if centre.middle.any())])

    def _confident(self, questions: Sequence[Question], kept: Mapping[str, str | None]) -> list[Assignment]:
        """Assignments of questions to the topics that they have."""
        topics = [kept[question.question_id] or "" for question in questions]
        vectors = self.encoder.encode([self.vocabulary.cleaned(question.text) for question in questions])
        confidences = self.confidences(vectors, topics)
        return [
            Assignment(question.question_id, topic, confidence)
            for question, topic, confidence in zip(questions, topics, confidences, strict=True)
        ]

    def _join(self, vectors: Vectors, waiting: Labels, topics: list[str]) -> tuple["TopicModel", Labels]:
        """Put questions under the topic they are close to; returns those that are close to none beside the model."""
        if self.centres is None or self.totals is None or self.texts is None or not len(waiting):
            return self, waiting
        closest, cosines = [], []
        for start in range(0, len(waiting), BLOCK):
            alike = vectors[waiting[start : start + BLOCK]] @ self.centres.T
            closest.append(alike.argmax(axis=1))
            cosines.append(alike.max(axis=1))
        joins = np.concatenate(cosines) >= self.encoder.joins
        joining, joined = waiting[joins], np.concatenate(closest)[joins]
        for question, centre in zip(joining, joined, strict=True):
            topics[question] = self.owners[centre]
        totals, texts = self.totals.copy(), self.texts.copy()
        np.add.at(totals, joined, vectors[joining])
        np.add.at(texts, joined, 1)
        return replace(self, totals=totals, texts=texts), waiting[~joins]

    def _found(
        self,
        vectors: Vectors,
        founders: Labels,
        topics: list[str],
        question_ids: Sequence[Sequence[str]],
        linked: csr_array,
    ) -> "TopicModel":
        """Group questions that are close to no topic, and found a topic on each group."""
        centres, taken = self._owned(), set(self.topic_ids)
        labels = _groups(vectors[founders], self.encoder, linked)
        for label in range(labels.max(initial=-1) + 1):
            members = np.flatnonzero(labels == label)
            ids = sorted(chain.from_iterable(question_ids[int(member)] for member in members))
            topic = _free_topic_id(self.tenant_id, ids, taken)
            taken.add(topic)
            centres.append(_centre(topic, vectors[founders[members]]))
            for member in founders[members]:
                topics[member] = topic
        return self._with(centres)

    def _owned(self) -> list[_Centre]:
        if self.centres is None or self.totals is None or self.texts is None:
            return []
        return list(map(_Centre, self.owners, self.centres, self.totals, self.texts.tolist()))

    def _with(self, centres: Iterable[_Centre]) -> "TopicModel":
        ordered = sorted(centres, key=lambda each: (each.topic, each.middle.tobytes()))
        if not ordered:
            return replace(self, owners=(), centres=None, totals=None, texts=None)
        owners, middles, totals, texts = zip(*ordered, strict=True)
        return replace(
            self, owners=owners, centres=np.vstack(middles), totals=np.vstack(totals), texts=np.array(texts, np.int64)
        )

    def renamed(self, names: Mapping[str, str]) -> "TopicModel":
        """The model in which topics have other ids; those that are given one id become one topic."""
        return self._with([centre._replace(topic=names.get(centre.topic, centre.topic)) for centre in self._owned()])

    def foldable(
        self, frequencies: Mapping[str, int], links: Links | None = None, held: Collection[str] = ()
    ) -> dict[str, str]:
        """The topics that are part of a larger one, by what is known now, and that one.

        The most alike go together first, by the mean cosine of their questions, as long as it is enough for the rarer
        of the two (`_enough`); `links` between topics make up for what is missing. The most frequent keeps its id.
        Topics that are `held` take in rarer ones and are never folded.
        """
        if self.totals is None or self.texts is None or not 2 <= len(self.topic_ids) <= MOST_FOLDED:
            return {}
        topics = self.topic_ids
        numbers = {topic: number for number, topic in enumerate(topics)}
        belongs = np.zeros((len(topics), len(self.owners)), np.float32)
        belongs[[numbers[owner] for owner in self.owners], range(len(self.owners))] = 1
        middles = belongs @ self.totals / (belongs @ self.texts)[:, np.newaxis]
        alike = (middles @ middles.T).astype(np.float64)
        for (one, other), share in _shares(links or {}).items():
            if one in numbers and other in numbers:
                row, column = numbers[one], numbers[other]
                alike[[row, column], [column, row]] += share
        sizes = np.array([max(frequencies.get(topic, 0), 1) for topic in topics], np.float64)
        return _fold(topics, alike, sizes, np.array([topic in held for topic in topics]), self.encoder)

    def confidences(self, vectors: Vectors, topics: Sequence[str]) -> list[float]:
        """How sure it is that questions belong to their topics (see `silhouette`); 0 for topics without a centre."""
        own, rival = self.closeness(vectors, topics)
        return [round(float(each), 4) for each in silhouette(own, rival)]

    def closeness(self, vectors: Vectors, topics: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Cosines of questions to the centres of their own topics, and to the closest other one, 0 where none is."""
        own, rival = np.zeros((2, len(vectors)), np.float32)
        if self.centres is None:
            return own, rival
        owners = np.array(self.owners, dtype=object)
        known = set(self.owners)
        for start in range(0, len(vectors), BLOCK):
            block = slice(start, start + BLOCK)
            alike = vectors[block] @ self.centres.T
            mine = np.array(topics[block], dtype=object)[:, np.newaxis] == owners
            own[block] = np.where(mine, alike, -1).max(axis=1)
            rival[block] = np.where(mine, -1, alike).max(axis=1)
        own[[topic not in known for topic in topics]] = 0
        if len(known) == 1:
            rival[[topic in known for topic in topics]] = 0
        return own, rival

    def to_bytes(self) -> "Stored":
        """The model to be kept: the same model gives the same bytes."""
        return Stored(self.language_to_bytes(), self.topics_to_bytes())

    def language_to_bytes(self) -> bytes:
        """What was learned of the language, which stays until a `refit`."""
        return _packed({"encoder": np.array(type(self.encoder).__name__), **self.encoder.arrays()})

    def topics_to_bytes(self) -> bytes:
        """What was learned of the topics."""
        nothing = np.zeros((0, 0), np.float32)
        return _packed(
            {
                "tenant": np.array(self.tenant_id),
                "vocabulary": np.array(self.vocabulary.fingerprint),
                "owners": np.array(self.owners, dtype="U36"),
                "centres": nothing if self.centres is None else self.centres,
                "totals": nothing if self.totals is None else self.totals,
                "texts": np.zeros(0, np.int64) if self.texts is None else self.texts,
                "learned_from": np.array(self.learned_from),
            }
        )

    @classmethod
    def from_bytes(cls, stored: "Stored", vocabulary: Vocabulary | None = None) -> "TopicModel":
        """Read what `to_bytes` wrote; nothing in it is executed. Raises ParleyError where it is something else, or was
        learned with another vocabulary."""
        vocabulary = vocabulary or Vocabulary()
        try:
            language, arrays = map(_unpacked, stored)
            owners, centres = tuple(map(str, arrays["owners"])), arrays["centres"].astype(np.float32)
            if str(arrays["vocabulary"]) != vocabulary.fingerprint:
                raise ValueError("another vocabulary")
            encoder = _encoder(str(language["encoder"]), language, vocabulary)
            totals, texts = arrays["totals"].astype(np.float32), arrays["texts"].astype(np.int64)
            if not len(centres) == len(owners) == len(texts) or totals.shape != centres.shape:
                raise ValueError("centres and owners differ in number")
            known = map(_Centre, owners, centres, totals, texts.tolist())
            learned_from = int(arrays["learned_from"])
            return cls(str(arrays["tenant"]), encoder, learned_from=learned_from, vocabulary=vocabulary)._with(known)
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
            raise ParleyError(
                "The stored topic model cannot be read by this version of Parley: learn the topics again (refit)."
            ) from None


class Stored(NamedTuple):
    """A model as NumPy archives of plain arrays (.npz)."""

    language: bytes
    topics: bytes


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """As numpy.savez_compressed does, but in a third of its time."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return file.getvalue()


def _unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return dict(archive)


def _encoder(kind: str, arrays: Mapping[str, NDArray[Any]], vocabulary: Vocabulary) -> Encoder:
    if kind == Sentences.__name__:
        return Sentences()
    weights, components = arrays["weights"].astype(np.float32), arrays["components"].astype(np.float16)
    if kind != Lexicon.__name__ or weights.shape != (FEATURES,) or len(components) != FEATURES:
        raise ValueError(f"{kind} of another shape")
    concept_weights = arrays["concept_weights"].astype(np.float32)
    if concept_weights.shape != (len(vocabulary.concepts),):
        raise ValueError("concepts of another vocabulary")
    return Lexicon(weights, components, concept_weights, float(arrays["say"]), vocabulary)


def learn(
    tenant_id: str, questions: Iterable[Question], *, sentences: bool = False, vocabulary: Vocabulary | None = None
) -> TopicModel:
    """A model that knows a tenant's language and no topics yet; with `sentences`, by the extra `embeddings`.

    Raises ParleyError where there is no question with a text.
    """
    vocabulary = vocabulary or Vocabulary()
    by_text = _by_text(questions, vocabulary)
    encoder = Sentences() if sentences else Lexicon.learn(list(by_text), vocabulary)
    return TopicModel(tenant_id, encoder, learned_from=sum(map(len, by_text.values())), vocabulary=vocabulary)


def refit(
    tenant_id: str,
    questions: Iterable[Question],
    known: Mapping[str, str | None],
    *,
    sentences: bool = False,
    vocabulary: Vocabulary | None = None,
    links: Links | None = None,
    held: Collection[str] = (),
) -> tuple[list[Assignment], TopicModel]:
    """Learn the language and the topics of all questions again.

    A topic keeps the id of the old one (`known`, by question id) that it shares most questions with, where these are
    more than half of either. Topics that are `held` keep their id and their questions. Raises ParleyError where there
    is no question with a text.
    """
    questions = list(questions)
    model = learn(tenant_id, questions, sentences=sentences, vocabulary=vocabulary)
    kept = {question.question_id: topic for question in questions if (topic := known.get(question.question_id)) in held}
    model = model._holding(questions, kept)
    placed, model = model.assign([each for each in questions if each.question_id not in kept], links)
    known = {question: topic for question, topic in known.items() if question not in kept}
    names = _inherited(model, placed, known, set(filter(None, kept.values())))
    model = model.renamed(names)
    assignments = [
        each if each.topic_id is None else replace(each, topic_id=names.get(each.topic_id, each.topic_id))
        for each in placed
    ]
    confident = model._confident([question for question in questions if question.question_id in kept], kept)
    return sorted([*assignments, *confident], key=lambda each: each.question_id), model


def _inherited(
    model: TopicModel, assignments: Sequence[Assignment], known: Mapping[str, str | None], held: Collection[str]
) -> dict[str, str]:
    """The id under which each topic of a new model goes on; those that are held have theirs."""
    topic_ids = set(model.topic_ids) - set(held)
    members: defaultdict[str, list[str]] = defaultdict(list)
    for each in assignments:
        if each.topic_id and each.topic_id in topic_ids:
            members[each.topic_id].append(each.question_id)
    new = {topic: number for number, topic in enumerate(each for each in model.topic_ids if each not in held)}
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
            names[topic] = _free_topic_id(model.tenant_id, sorted(members[topic]), {*old, *held, *names.values()})
    return names


def silhouette(own: Vectors, rival: Vectors) -> Vectors:
    """Simplified silhouettes, 0 to 1: 1 − (1 − cosine to the own centre) / (1 − cosine to the closest other centre).

    0 where another topic is as close. Hruschka, Campello, de Castro: Evolving clusters in gene-expression data,
    Information Sciences 176 (2006).
    """
    away = np.maximum(1 - np.maximum(rival, 0), 1e-6)
    silhouettes: Vectors = np.clip(1 - np.maximum(1 - own, 0) / away, 0, 1).astype(np.float32)
    return silhouettes


def _by_text(questions: Iterable[Question], vocabulary: Vocabulary) -> dict[str, list[str]]:
    """The ids of questions by their cleaned text, in order."""
    texts: dict[str, str] = {}
    for question in questions:
        text = vocabulary.cleaned(question.text)
        if texts.setdefault(question.question_id, text) != text:
            raise ParleyError("Two questions have the same id and different texts: give every question its own id.")
    by_text: defaultdict[str, list[str]] = defaultdict(list)
    for question_id in sorted(texts):
        by_text[texts[question_id]].append(question_id)
    return by_text


def _linked(texts: Sequence[str], by_text: Mapping[str, Sequence[str]], links: Links) -> csr_array:
    """(texts, texts): how often one was asked right after the other."""
    numbers = {question_id: number for number, text in enumerate(texts) for question_id in by_text[text]}
    pairs: Counter[tuple[int, int]] = Counter()
    for (one, other), often in links.items():
        if one in numbers and other in numbers and numbers[one] != numbers[other]:
            pairs[numbers[one], numbers[other]] += often
    return _graph(pairs, len(texts))


def _enough(sizes: NDArray[np.float64], encoder: Encoder) -> NDArray[np.float64]:
    """How alike a topic of so many questions must be to another one to be a part of it: the more, the more evidence
    there is that the topic is one of its own, up to what groups of questions are cut at."""
    lowest, highest = encoder.joins - 0.25, encoder.same
    enough: NDArray[np.float64] = highest - (highest - lowest) * sizes**-0.3
    return enough


def _fold(
    topics: Sequence[str],
    alike: NDArray[np.float64],
    sizes: NDArray[np.float64],
    held: NDArray[np.bool_],
    encoder: Encoder,
) -> dict[str, str]:
    """Which topic goes into which, folded one after the other."""

    def margins(topic: int) -> NDArray[np.float64]:
        enough = _enough(np.minimum(sizes[topic], sizes), encoder)
        may = ~gone & ~(held & (held[topic] | (sizes <= sizes[topic]))) & ~(held[topic] & (sizes > sizes[topic]))
        may[topic] = False
        return np.where(may, alike[topic] - enough, -np.inf)

    gone, into = np.zeros(len(topics), bool), np.arange(len(topics))
    left = np.vstack([margins(topic) for topic in range(len(topics))])
    while (best := int(left.argmax())) >= 0 and left.flat[best] >= 0:
        one, other = divmod(best, len(topics))
        stays, goes = sorted((one, other), key=lambda topic: (-sizes[topic], not held[topic], topics[topic]))
        alike[stays] = (sizes[stays] * alike[stays] + sizes[goes] * alike[goes]) / (sizes[stays] + sizes[goes])
        alike[:, stays] = alike[stays]
        sizes[stays] += sizes[goes]
        gone[goes], into[goes] = True, stays
        left[goes], left[:, goes] = -np.inf, -np.inf
        left[stays] = margins(stays)
        left[:, stays] = left[stays]
    folded = {}
    for topic in np.flatnonzero(gone).tolist():
        end = topic
        while gone[end]:
            end = int(into[end])
        folded[topics[topic]] = topics[end]
    return folded


def _shares(links: Links) -> dict[tuple[str, str], float]:
    """How much of what is asked before or after the rarer of two topics is the other one, 0 to 1, where it is much."""
    between, of = Counter[tuple[str, str]](), Counter[str]()
    for (one, other), often in links.items():
        of[one] += often
        if one != other:
            of[other] += often
            between[min(one, other), max(one, other)] += often
    shares = {pair: often / min(of[pair[0]], of[pair[1]]) for pair, often in between.items() if often >= LINKED[0]}
    return {pair: share for pair, share in shares.items() if share >= LINKED[1]}


def _graph(pairs: Mapping[tuple[int, int], float], size: int) -> csr_array:
    """The symmetric matrix of links between numbered things."""
    rows, columns = ([pair[side] for pair in pairs] for side in (0, 1))
    graph = csr_array((np.array(list(pairs.values()), np.float32), (rows, columns)), shape=(size, size))
    return csr_array(graph + graph.T)


def _centre(topic: str, vectors: Vectors) -> _Centre:
    """The centre of these texts, in the order given."""
    middle = normalize(vectors.mean(axis=0, keepdims=True))[0].astype(np.float32)
    return _Centre(topic, middle, vectors.sum(axis=0), len(vectors))


def _topic_id(tenant_id: str, kind: str, founder: str) -> str:
    return str(uuid5(NAMESPACE, json.dumps([tenant_id, kind, founder])))


def _free_topic_id(tenant_id: str, founders: Sequence[str], taken: Iterable[str]) -> str:
    """The id that the first founder gives which no topic has; one founder may have founded another topic before."""
    taken = frozenset(taken)
    again = (_topic_id(tenant_id, f"question, {number}", founders[0]) for number in count(2))
    ids = chain((_topic_id(tenant_id, "question", founder) for founder in founders), again)
    return next(each for each in ids if each not in taken)


def _groups(vectors: Vectors, encoder: Encoder, linked: csr_array) -> Labels:
    """Groups of like questions, numbered from 0: average linkage of what is left when each leans on its neighbours.

    The number of groups comes from the height at which the tree is cut, not from the number of questions.
    """
    if len(vectors) < 2:
        return np.zeros(len(vectors), np.intp)
    tree = linkage(_leaning(vectors, encoder.near, linked), "average")
    height = np.sqrt(2 - 2 * encoder.same)  # the distance of two vectors of length 1 with that cosine
    labels: Labels = (fcluster(tree, height, "distance") - 1).astype(np.intp)
    return labels


def _leaning(vectors: Vectors, near: float, linked: csr_array) -> Vectors:
    """Vectors drawn towards those of their nearest neighbours, the more the closer, and of those asked right before or
    after, the more the oftener; what has none stays."""
    neighbours, cosines = _neighbours(vectors)
    weights = np.maximum(cosines - near, 0)
    rows = np.repeat(np.arange(len(vectors)), neighbours.shape[1])
    graph = csr_array((weights.ravel(), (rows, neighbours.ravel())), shape=(len(vectors), len(vectors)))
    graph = normalize(csr_array(graph.maximum(graph.T) + linked), norm="l1")
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
