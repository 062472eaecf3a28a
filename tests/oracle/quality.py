"""Conversation quality: what judges said, what signals say, and the scores made of both."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

from tests.oracle.conversations import conversations
from tests.oracle.days import every_day
from tests.oracle.figures import first_known, mean, ratio
from tests.oracle.responses import responses
from tests.oracle.tools import kb_searches
from tests.oracle.world import (
    Event,
    Row,
    World,
    events_by_conversation,
    grouped,
    is_answer,
    is_customers_message,
    is_message_to_customer,
    thread,
)

SEEDS = Path(__file__).resolve().parents[2] / "seeds"
SCORES = ("helpfulness", "accuracy", "politeness", "overall")
KINDS_OF_WORDS = (range(0x3040, 0x3100), range(0x3400, 0xA000))  # kana, and Chinese characters
BETWEEN_WORDS = (
    *(range(1, 0x30), range(0x3A, 0x41), range(0x5B, 0x61), range(0x7B, 0xC0), range(0xD7, 0xD8), range(0xF7, 0xF8)),
    *(range(0x2000, 0x2070), range(0x3000, 0x3040)),
    *(range(0xFF01, 0xFF10), range(0xFF1A, 0xFF21), range(0xFF3B, 0xFF41), range(0xFF5B, 0xFF66)),
)


@dataclass(frozen=True)
class Rubric:
    """What a user may choose: the rows of the seeds."""

    weights: Sequence[Row]
    settings: Sequence[Row]
    persons: Sequence[str]
    lexicon: Sequence[Row]

    @classmethod
    @cache
    def shipped(cls) -> "Rubric":
        """The one in `seeds/`."""
        judges = (row["judge"] for row in _seed("quality_judges"))
        return cls(_seed("quality_weights"), _seed("quality_settings"), tuple(judges), _seed("politeness_lexicon"))

    def weights_of(self, tenant_id: str) -> list[Row]:
        """The tenant's own rows, else those for all."""
        own = [row for row in self.weights if row["tenant_id"] == tenant_id]
        return own or [row for row in self.weights if row["tenant_id"] == "*"]

    def setting(self, tenant_id: str, name: str) -> Fraction:
        """The tenant's own value, else the one for all."""
        values = {row["tenant_id"]: row[name] for row in self.settings}
        return Fraction(str(values.get(tenant_id, values["*"])))

    def says(self, text: str, speaker: str, kind: str) -> bool:
        """Whether the text has a term of that kind of that speaker's."""
        terms = (row["term"] for row in self.lexicon if row["speaker"] in (speaker, "both") and row["kind"] == kind)
        return any(_contains(words(text), words(term)) for term in terms)


def _seed(name: str) -> list[Row]:
    with (SEEDS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def words(text: str) -> tuple[str, ...]:
    """The words of a text in small letters; each kana or Chinese character is one."""
    spaced = ""
    for character in text:
        if any(ord(character) in ranges for ranges in BETWEEN_WORDS):
            spaced += " "
        elif any(ord(character) in ranges for ranges in KINDS_OF_WORDS):
            spaced += f" {character} "
        else:
            spaced += character.lower() if ord(character) < 0x100 or character in "ŒŸ" else character
    return tuple(spaced.split())


def _contains(whole: tuple[str, ...], part: tuple[str, ...]) -> bool:
    starts = range(len(whole) - len(part) + 1)
    return bool(part) and any(whole[start : start + len(part)] == part for start in starts)


def judgements(world: World, rubric: Rubric | None = None) -> list[Row]:
    """One row per judgement."""
    persons = (rubric or Rubric.shipped()).persons
    return [
        {
            "tenant_id": event["tenant_id"],
            "judgement_id": event["event_id"],
            "conversation_id": thread(event),
            "judge": event["attributes"]["judge"],
            "judge_kind": "person" if _is_person(event["attributes"]["judge"], persons) else "model",
            "rubric": event["attributes"]["rubric"],
            "rubric_version": event["attributes"].get("rubric_version"),
            **{f"{score}_score": event["attributes"].get(score) for score in SCORES},
            "scored_at": event["occurred_at"],
        }
        for event in world.events
        if event["event_name"] == "conversation.scored"
    ]


def _is_person(judge: str, persons: Iterable[str]) -> bool:
    """Whether one of the patterns fits; of LIKE's wildcards, they use `%` at the end."""
    return any(
        judge.lower().startswith(pattern[:-1]) if pattern.endswith("%") else judge.lower() == pattern
        for pattern in persons
    )


def conversation_wording(world: World, rubric: Rubric | None = None) -> list[Row]:
    """One row per conversation: what is in its messages."""
    return [
        {"tenant_id": tenant_id, "conversation_id": conversation_id, **wording(events, rubric or Rubric.shipped())}
        for (tenant_id, conversation_id), events in events_by_conversation(world).items()
    ]


def wording(events: list[Event], rubric: Rubric) -> Row:
    """The counts of one conversation."""
    tenant_id = events[0]["tenant_id"]
    received, sent = (
        [event["attributes"]["text"] for event in events if is_one(event) and "text" in event["attributes"]]
        for is_one in (is_customers_message, is_message_to_customer)
    )
    last_sent = sent[-int(rubric.setting(tenant_id, "ending_messages")) :]
    enough = rubric.setting(tenant_id, "question_words")
    questions = [set(words(text)) for text in received if len(set(words(text))) >= enough]
    return {
        "polite_received": sum(rubric.says(text, "customer", "polite") for text in received),
        "rude_received": sum(rubric.says(text, "customer", "rude") for text in received),
        "polite_sent": sum(rubric.says(text, "assistant", "polite") for text in sent),
        "rude_sent": sum(rubric.says(text, "assistant", "rude") for text in sent),
        "texts_sent": len(sent),
        "successes_sent": sum(rubric.says(text, "assistant", "success") for text in sent),
        "refusals_sent": sum(rubric.says(text, "assistant", "refusal") for text in sent),
        "apologized_at_end": any(rubric.says(text, "assistant", "apology") for text in last_sent) if sent else None,
        "questions": len(questions),
        "repeated_questions": sum(
            any(
                Fraction(len(later & earlier), len(later | earlier)) >= rubric.setting(tenant_id, "repeat_similarity")
                for earlier in questions[max(0, place - int(rubric.setting(tenant_id, "repeat_lookback"))) : place]
            )
            for place, later in enumerate(questions)
        ),
    }


def conversation_signals(world: World, rubric: Rubric | None = None) -> list[Row]:
    """One row per conversation: each signal from 0 to 1, null where it does not apply."""
    rubric = rubric or Rubric.shipped()
    answers = grouped(responses(world), _conversation)
    searches = grouped(kb_searches(world), _conversation)
    texts = grouped(conversation_wording(world, rubric), _conversation)
    events_of = events_by_conversation(world)
    rows = []
    for conversation in conversations(world):
        key = (conversation["tenant_id"], conversation["conversation_id"])
        text, events = texts[key][0], events_of[key]
        durations = [row["duration_ms"] for row in answers.get(key, [])]
        slow = sum(duration > world.tenant(key[0]).sla_ms for duration in durations)
        said = conversation["outcome"] not in ("open", "no_reply") and not conversation["outcome_inferred"]
        sent = conversation["messages_sent"]
        reports_fallbacks = any(
            is_answer(event) and is_message_to_customer(event) and "is_fallback" in event["attributes"]
            for event in events
        )
        signals = {
            "resolution": int(conversation["outcome"] == "resolved") if said else None,
            "rating": conversation["rating"],
            "ending": None if text["apologized_at_end"] is None else int(not text["apologized_at_end"]),
            "progress": min(Fraction(text["successes_sent"]) / rubric.setting(key[0], "success_messages"), 1)
            if text["texts_sent"]
            else None,
            "refusals": _share(text["texts_sent"] - text["refusals_sent"], text["texts_sent"]),
            "bookings": _share(
                min(conversation["bookings_confirmed"], conversation["bookings_requested"]),
                conversation["bookings_requested"],
            ),
            "answered": answered(events),
            "fallbacks": _share(sent - conversation["fallbacks"], sent) if reports_fallbacks else None,
            "escalation": 0 if conversation["was_escalated"] else None,
            "repetition": _share(text["questions"] - text["repeated_questions"], text["questions"])
            if text["questions"] > 1
            else None,
            "response_time": _share(len(durations) - slow, len(durations)),
            "kb_found": _share(conversation["kb_searches"] - conversation["kb_misses"], conversation["kb_searches"]),
            "kb_used": 1 if any(search["was_used"] for search in searches.get(key, [])) else None,
            "tools": _share(conversation["tool_calls"] - conversation["tool_failures"], conversation["tool_calls"]),
            "errors": 0 if conversation["has_error"] else None,
            "customer_tone": _share(text["polite_received"], text["polite_received"] + text["rude_received"]),
            "assistant_tone": _share(text["polite_sent"], text["polite_sent"] + text["rude_sent"]),
        }
        rows.append(
            {
                "tenant_id": key[0],
                "conversation_id": key[1],
                "started_on": conversation["started_on"],
                **{name: None if value is None else rounded(value, 4) for name, value in signals.items()},
            }
        )
    return rows


def answered(events: Iterable[Event]) -> Fraction | None:
    """The share of the customer's turns that something answers; a turn is all they write until then."""
    turns = replies = 0
    is_waiting = False
    for event in events:
        if is_customers_message(event):
            turns += not is_waiting
            is_waiting = True
        elif is_answer(event):
            replies += is_waiting
            is_waiting = False
    return _share(replies, turns)


def _share(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


def rounded(value: Any, digits: int) -> Decimal:
    """The number with so many decimals, halves up."""
    return Decimal(floor(Fraction(str(value)) * 10**digits + Fraction(1, 2))).scaleb(-digits)


def conversation_quality_scores(world: World, rubric: Rubric | None = None) -> list[Row]:
    """One row per conversation: judged where a judge said something, else the weighted mean of the signals."""
    rubric = rubric or Rubric.shipped()
    judged = grouped(judgements(world, rubric), _conversation)
    signals = grouped(conversation_signals(world, rubric), _conversation)
    return [
        _scored(row, signals[_conversation(row)][0], judged.get(_conversation(row), []), rubric)
        for row in conversations(world)
    ]


def _scored(conversation: Row, signals: Row, judged: list[Row], rubric: Rubric) -> Row:
    first_person_then_last = sorted(
        judged, key=lambda row: (row["judge_kind"] == "person", row["scored_at"], row["judgement_id"]), reverse=True
    )
    weights = rubric.weights_of(conversation["tenant_id"])
    scores: dict[str, Decimal | None] = {}
    reasons: dict[str, dict[str, Any]] = {}
    for score in SCORES:
        said = first_known(row[f"{score}_score"] for row in first_person_then_last)
        values: Row = scores if score == "overall" else signals
        bearing = {
            row["signal"]: (Fraction(values[row["signal"]]), Fraction(str(row["weight"])))
            for row in weights
            if row["score"] == score and values[row["signal"]] is not None and Fraction(str(row["weight"])) > 0
        }
        scores[score] = None if said is None else rounded(said, 2)
        if said is None and bearing:
            total = sum(value * weight for value, weight in bearing.values())
            scores[score] = rounded(total / sum(weight for _, weight in bearing.values()), 2)
            reasons[score] = {
                name: {"value": float(value), "weight": float(weight)} for name, (value, weight) in bearing.items()
            }
    best = first_person_then_last[0] if judged else {}
    is_scored = any(score is not None for score in scores.values())
    return {
        **{name: conversation[name] for name in ("tenant_id", "conversation_id", "user_id", "channel", "started_on")},
        **{f"{score}_score": scores[score] for score in SCORES},
        "basis": "judged" if judged else "signals" if is_scored else None,
        "judge": best.get("judge"),
        "rubric": best["rubric"] if judged else "signals" if is_scored else None,
        "rubric_version": best["rubric_version"] if judged else weights[0]["rubric_version"] if is_scored else None,
        "signals": reasons or None,
        "scored_at": best["scored_at"] if judged else conversation["last_event_at"] if is_scored else None,
    }


@every_day(("conversations", "scored_conversations", "judged_conversations"))
def quality_daily(world: World, rubric: Rubric | None = None) -> list[Row]:
    """One row per tenant and day on which a conversation started."""
    rubric = rubric or Rubric.shipped()
    days = grouped(conversation_quality_scores(world, rubric), lambda row: (row["tenant_id"], row["started_on"]))
    rows = []
    for (tenant_id, date), scored in days.items():
        bases = [row["basis"] for row in scored]
        row = {
            "tenant_id": tenant_id,
            "date": date,
            "conversations": len(scored),
            "scored_conversations": len(scored) - bases.count(None),
            "judged_conversations": bases.count("judged"),
            "scored_share": ratio(len(scored) - bases.count(None), len(scored)),
        }
        for score in SCORES:
            values = [row[f"{score}_score"] for row in scored if row[f"{score}_score"] is not None]
            row[f"avg_{score}_score"] = mean(map(float, values))
            row[f"low_{score}_share"] = ratio(
                sum(value < rubric.setting(tenant_id, f"low_{score}") for value in values), len(values)
            )
        rows.append(row)
    return rows


def _conversation(row: Row) -> tuple[str, str | None]:
    return row["tenant_id"], row["conversation_id"]
