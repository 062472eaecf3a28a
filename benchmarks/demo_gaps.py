"""How well topics gather the content gaps that the demo is known to have: `python benchmarks/demo_gaps.py`.

Prints one JSON line per tenant beside the goals. A gap's questions are in all of its languages.
"""

import csv
import itertools
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from parley.analytics.topics import Question, Vocabulary, describe, learn
from parley.demo import Demo, write
from parley.demo.stories import bank
from parley.landing.patterns import Scrubber, Words

SEEDS = Path(__file__).resolve().parents[1] / "seeds"
GOALS = {"share_in_largest_topic": 0.8, "topics_per_gap": 1.5}


class Asked(NamedTuple):
    question_id: str
    thread_id: str
    asked_at: str
    text: str
    subject: str
    """The gap, or the topic that the knowledge base knows."""
    is_gap: bool


def vocabulary() -> Vocabulary:
    """As the seeds have it."""
    phrases, terms = (
        list(csv.DictReader((SEEDS / f"{name}.csv").open(encoding="utf-8")))
        for name in ("filler_phrases", "gap_synonyms")
    )
    return Vocabulary.of((row["phrase"] for row in phrases), ((row["term"], row["concept"]) for row in terms))


def unanswered(seed: int = 7, size: int = 20_000) -> dict[str, list[Asked]]:
    """Searches of a demo that found nothing of use, by tenant, in order, private parts masked."""
    mask = Scrubber(("email", "iban", "card", "phone"), Words())
    wordings = {tenant: _wordings(told) for tenant, told in bank()["tenants"].items()}
    found: defaultdict[str, dict[str, Asked]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "demo.ndjson")
        write(file, Demo(end=date(2026, 6, 1), size=size, days=90, seed=seed))
        for line in file.read_bytes().splitlines():
            if b'"kb.search"' not in line:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue  # the demo has broken lines on purpose
            tenant, attributes = event.get("tenant_id"), event.get("attributes", {})
            is_miss = attributes.get("results_count") == 0 or attributes.get("top_score", 1) < 0.5
            if tenant not in wordings or not is_miss or not attributes.get("query"):
                continue
            fits: list[tuple[int, str, bool]] = [
                (length, subject, is_gap)
                for wording, length, subject, is_gap in wordings[tenant]
                if wording.search(attributes["query"])
            ]
            if fits:
                _, subject, is_gap = max(fits)
                thread = event.get("conversation_id") or event.get("session_id") or event["event_id"]
                found[tenant].setdefault(
                    event["event_id"],
                    Asked(event["event_id"], thread, event["occurred_at"], mask(attributes["query"]), subject, is_gap),
                )
    return {tenant: sorted(asked.values(), key=lambda each: each[2]) for tenant, asked in sorted(found.items())}


def _wordings(tenant: Mapping[str, Any]) -> list[tuple[re.Pattern[str], int, str, bool]]:
    """Each question that customers of a tenant ask, with any words in its {slots}."""
    wordings = []
    for kind in ("gaps", "topics"):
        for subject, told in tenant[kind].items():
            for language in tenant["languages"]:
                for question in told.get(language, {}).get("questions", ()):
                    pattern = re.sub(
                        r"\\\{(\w+)\\\}",
                        lambda slot: f"(?:{'|'.join(map(re.escape, bank()['words'][slot[1]]))})",
                        re.escape(question),
                    )
                    wordings.append((re.compile(pattern, re.IGNORECASE), len(question), subject, kind == "gaps"))
    return wordings


def gathered(asked: list[Asked]) -> dict[str, Any]:
    """Topics of a tenant's questions as a first build finds them: how far they are the gaps, and their names."""
    questions = [Question(each.question_id, each.text) for each in asked]
    threads: defaultdict[str, list[str]] = defaultdict(list)
    for each in asked:
        threads[each.thread_id].append(each.question_id)
    links = {pair: 1 for ids in threads.values() for pair in itertools.pairwise(ids)}
    assignments, model = learn("demo", questions, vocabulary=vocabulary()).assign(questions, links)
    topics = {each.question_id: each.topic_id or "" for each in assignments}
    between = Counter((topics[one], topics[other]) for one, other in links)
    folded = model.foldable(Counter(topics.values()), between)
    model = model.renamed(folded)
    topics = {question: folded.get(topic, topic) for question, topic in topics.items()}
    gaps: defaultdict[str, Counter[str]] = defaultdict(Counter)
    subjects: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in asked:
        subjects[topics[each.question_id]][each.subject] += 1
        if each.is_gap:
            gaps[each.subject][topics[each.question_id]] += 1
    sizes = Counter(topics.values())
    described = describe(model, [(question, topics[question.question_id]) for question in questions])
    names = {each.topic_id: each.name for each in described}
    return {
        "share_in_largest_topic": round(
            sum(max(spread.values()) / spread.total() for spread in gaps.values()) / len(gaps), 3
        ),
        "topics_per_gap": round(sum(map(len, gaps.values())) / len(gaps), 2),
        "purity": round(sum(max(held.values()) for held in subjects.values()) / len(asked), 3),
        "topics": len(sizes),
        "subjects": len({each.subject for each in asked}),
        "names": [names[topic] for topic, _ in sizes.most_common(len(gaps))],
    }


def main() -> None:
    for tenant, asked in unanswered().items():
        print(json.dumps({"tenant": tenant, **gathered(asked), "goals": GOALS}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
