"""The stories of the demo: what one visit of one customer looks like, event by event.

A story is told once, in plain Python, and then lived by many visits (`parley.demo.world`), each with its own people,
ids, times and pace. So it holds its events as bytes, with one gap where a visit's own value goes.
"""

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import yaml

BANK = Path(__file__).with_name("bank.yaml")
GAP = "\N{OBJECT REPLACEMENT CHARACTER}"  # stands for the visit's own value until the event is bytes
PACED = ("duration_ms", "latency_ms", "offset_ms")
OWN_IDS = ("order_id", "booking_id")
EXPERIMENT = "one_page_checkout"

ON_GAPS = 0.16  # of questions: about something that the knowledge base does not know
SEARCH_MISSES = 0.04  # of questions that the knowledge base can answer
NO_CONSENT = 0.005
PERSONAL = 0.03  # of questions

Story = Callable[["Narrator"], None]


class Place(IntEnum):
    """Which ids an event carries."""

    SESSION = 0
    """Session and customer."""
    CONVERSATION = 1
    """Session, customer and conversation."""
    BACKSTAGE = 2
    """The conversation only: the customer had no part in it."""


class Fill(IntEnum):
    """What a visit puts into the gap of an event."""

    NOTHING = 0
    PACE = 1
    """The event's value times the visit's pace, as `%d`."""
    OWN_ID = 2
    """The visit's id, as `%s`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a story."""

    after_ms: float
    """Since the story began."""
    body: bytes
    """The event's name and attributes: the end of its line."""
    fill: Fill
    value: float
    place: Place


@dataclass(frozen=True, slots=True)
class Told:
    """One story."""

    setting: bytes
    """Where it happened: source and context, the middle of every line."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """Something customers ask about."""

    intent: str
    questions: Sequence[str]
    answers: Sequence[str]
    tools: Sequence[str]
    known: bool
    """Whether the knowledge base has an answer."""


@cache
def bank() -> Mapping[str, Any]:
    """The texts, from the data file beside this module."""
    loaded: Mapping[str, Any] = yaml.safe_load(BANK.read_text(encoding="utf-8"))
    return loaded


@dataclass
class Narrator:
    """Tells one story of a tenant: keeps the clock, the language and how things went so far."""

    rng: random.Random
    tenant: Mapping[str, Any]
    source: str
    outage: bool = False
    eager: bool = False
    """Whether the customer is one whom the experiment's new variant helps to an order."""

    clock: float = 0.0
    place: Place = Place.SESSION
    steps: list[Step] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    fallbacks: int = 0
    language: str = field(init=False)

    def __post_init__(self) -> None:
        languages = self.tenant["languages"]
        (self.language,) = self.rng.choices(list(languages), list(languages.values()))

    # chance

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.random() * len(choices))]

    def about(self, median: float, spread: float = 0.45) -> float:
        """A log-normal draw: `spread` is the standard deviation of the logarithm."""
        return median * math.exp(self.rng.gauss(0.0, spread))

    # texts

    def phrase(self, texts: Sequence[str]) -> str:
        """One of the texts, its {slots} filled."""
        return re.sub(r"\{(\w+)\}", lambda slot: self.pick(bank()["words"][slot[1]]), self.pick(texts))

    def say(self, group: str) -> str:
        """A text of one of the bank's groups by language."""
        return self.phrase(bank()[group][self.language])

    def written(self, question: str) -> str:
        """The question as a person types it."""
        text = f"{self.say('openers')}{question}{self.say('closers')}"
        if self.chance(0.15):
            text = text.lower()
        return f"{text} {self.phrase(bank()['personal'])}" if self.chance(PERSONAL) else text

    # events

    def wait(self, seconds: float) -> None:
        """Let about so many seconds pass."""
        self.clock += self.about(seconds * 1000)

    def tell(self, event_name: str, **attributes: Any) -> None:
        """One event, now."""
        fill, value = Fill.NOTHING, 0.0
        for name in PACED:
            if name in attributes:
                fill, value = Fill.PACE, attributes[name]
                attributes[name] = GAP
        for name in OWN_IDS:
            if name in attributes:
                fill = Fill.OWN_ID
                attributes[name] += GAP
        body = orjson.dumps({"event_name": event_name, "attributes": attributes})[1:] + b"\n"
        if fill is not Fill.NOTHING:
            quoted, gap = f'"{GAP}"'.encode(), GAP.encode()
            body = body.replace(b"%", b"%%").replace(quoted, b"%d").replace(gap, b"%s")
        self.steps.append(Step(self.clock, body, fill, value, self.place))

    def later(self, event_name: str, hours: float, **attributes: Any) -> None:
        """One event after about so many hours, when the visit is long over."""
        now, place = self.clock, self.place
        self.place = Place.SESSION
        self.wait(hours * 3600)
        self.tell(event_name, **attributes)
        self.clock, self.place = now, place

    def told(self) -> Told:
        """The story so far."""
        pages = self.tenant.get("pages")
        context: dict[str, Any] = {
            "locale": self.tenant["locales"][self.language],
            "device": self.pick(("mobile", "mobile", "desktop", "tablet")) if pages else "phone",
            "consent": {"analytics": not self.chance(NO_CONSENT)},
        }
        if pages and self.source in ("web", "widget"):
            # addresses kept for documentation, RFC 5737
            context |= {"page": self.pick(pages), "ip": f"203.0.113.{self.rng.randrange(1, 255)}"}
        setting = orjson.dumps({"source": self.source, "context": context})[1:-1] + b","
        return Told(setting, tuple(self.steps))

    # what happens in a conversation

    def topic(self) -> Topic:
        """What the customer asks about, by weight (1 where none is given); in English where nothing else is there."""
        known = not self.chance(ON_GAPS)
        found = self.tenant["topics" if known else "gaps"]
        names = [name for name, topic in found.items() if self.language in topic]
        if not names:
            self.language, names = "en", list(found)
        (name,) = self.rng.choices(names, [found[name].get("weight", 1) for name in names])
        texts = found[name][self.language]
        return Topic(name, texts["questions"], texts.get("answers", ()), found[name].get("tools", ()), known)

    def reply(self, topic: Topic, helped: bool) -> None:
        """The assistant writes the answer, or that there is none."""
        if helped:
            text, intent = self.phrase(topic.answers), topic.intent
        else:
            text, intent = self.say("fallbacks"), "fallback"
            self.fallbacks += 1
        self.tell("message.sent", text=text, intent=intent, is_fallback=not helped, actor="assistant")

    def ask(self, topic: Topic) -> bool:
        """The customer asks and the assistant answers; once more where it did not help. Whether it did in the end."""
        question = self.phrase(topic.questions)
        if self.turn(self.written(question), topic):
            return True
        if self.chance(0.6):
            self.wait(20)
            again = question if self.chance(0.5) else self.phrase(topic.questions)
            return self.turn(self.say("rephrasings").replace("[question]", again), topic)
        return False

    def turn(self, text: str, topic: Topic) -> bool:
        """One message of the customer and the assistant's answer to it; whether that helped."""
        self.tell("message.received", text=text, language=self.language)
        asked = self.clock
        found = self.search(text, topic)
        worked = self.use_tools(topic) if found else True
        self.answer(asked)
        if self.outage and self.chance(0.5):
            self.error()
        helped = found and worked
        self.reply(topic, helped)
        if helped and self.chance(0.12):
            self.wait(8)
            self.tell("kb.citation_clicked", rank=1, url=f"https://example.com/help/{topic.intent}?from=chat")
        return helped

    def search(self, query: str, topic: Topic) -> bool:
        """Look into the knowledge base; whether something of use was found."""
        found = topic.known and not self.chance(SEARCH_MISSES)
        duration = self.about(120, 0.6) * (6 if self.outage else 1)
        self.clock += duration
        results = self.rng.randrange(1, 8) if found else int(self.chance(0.12))
        score = self.rng.betavariate(9, 2) if found else self.rng.betavariate(2, 7)
        shown = {"top_score": round(score, 3)} if results else {}
        self.tell("kb.search", query=query, results_count=results, duration_ms=duration, **shown)
        if found and self.chance(0.7):
            self.clock += 5
            self.tell("kb.hit", rank=1 if self.chance(0.75) else 2, score=round(score, 3))
        return found

    def use_tools(self, topic: Topic) -> bool:
        """Call the topic's tools one after the other, until one fails; whether all went well."""
        if not topic.tools:
            return True
        began, called, success = self.clock, 0, True
        for name in topic.tools:
            kind = self.tenant["tools"][name]
            optimistic = kind == "navigation" and self.chance(0.7)
            call = {"tool_name": name, "tool_kind": kind, "optimistic": optimistic}
            self.tell("ai.tool_call_started", **call)
            called += 1
            if self.chance(0.004):
                continue  # it never came back
            success = not self.chance(0.45 if self.outage else 0.03)
            duration = self.about(90 if optimistic else 350, 0.5) * (8 if self.outage else 1)
            self.clock += duration
            failure = {} if success else {"error_class": "tool_unavailable"}
            self.tell("ai.tool_call_completed", **call, success=success, duration_ms=duration, **failure)
            if not success:
                break
        self.tell("ai.tool_chain_completed", tool_count=called, success=success, duration_ms=self.clock - began)
        return success

    def answer(self, asked: float) -> None:
        """The model writes its answer; the response time counts from the question."""
        large = self.chance(0.4)
        self.clock += self.about(1700 if large else 600, 0.5 if large else 0.4) * (7 if self.outage else 1)
        duration = self.clock - asked
        self.waits.append(duration)
        if self.source != "telegram":  # its gateway measures nothing: response times are derived from the messages
            tokens = self.rng.randrange(40, 400)
            model = "aurora-large" if large else "aurora-mini"
            self.tell("ai.response", duration_ms=duration, model=model, output_tokens=tokens)
        self.clock += 15

    def error(self) -> None:
        """Something fails behind the scenes."""
        kinds = ("timeout", "timeout", "tool_unavailable", "rate_limited", "validation")
        kind = "timeout" if self.outage and self.chance(0.6) else self.pick(kinds)
        self.tell("system.error", error_class=kind, error_message=self.phrase(bank()["errors"][kind]), context="chat")

    def converse(self, offer: Story | None = None) -> None:
        """A conversation of one to a few questions, the offer the assistant then makes, and its end."""
        self.place = Place.CONVERSATION
        self.tell("conversation.started", locale=self.tenant["locales"][self.language])
        self.wait(4)
        helped = True
        while helped:
            helped = self.ask(self.topic())
            if self.chance(0.006):
                self.error()
            if not self.chance(0.35):
                break
            self.wait(25)
        if offer and helped:
            offer(self)
        self.close(helped)
        self.place = Place.SESSION

    def close(self, helped: bool) -> None:
        """How the conversation ends, and what is said of it afterwards."""
        fate = self.rng.random()
        outcome = "silent"
        if helped:
            self.wait(12)
            if fate < 0.84:
                self.tell("message.received", text=self.say("thanks"), language=self.language)
                self.wait(2)
                outcome = self.resolve("assistant")
            elif fate < 0.88:
                outcome = self.escalate("customer_request")
            elif fate < 0.90:
                self.tell("conversation.abandoned", reason="closed")
                outcome = "abandoned"
        else:
            self.wait(15)
            if self.chance(0.5):
                self.tell("message.received", text=self.say("annoyed"), language=self.language)
                self.wait(3)
            if fate < 0.45:
                outcome = self.escalate("outage" if self.outage else "no_answer")
            elif fate < 0.62:
                self.tell("conversation.abandoned", reason="closed")
                outcome = "abandoned"
        self.score(outcome)

    def resolve(self, by: str) -> str:
        self.tell("conversation.resolved", resolved_by=by)
        if self.chance(0.03):  # one thing more
            self.wait(1500)
            self.ask(self.topic())
            self.wait(30)
            self.tell("conversation.resolved", resolved_by=by)
        return "resolved"

    def escalate(self, reason: str) -> str:
        self.tell("conversation.escalated", reason=reason)
        if self.chance(0.15):
            return "escalated"  # nobody took it over
        for _ in range(self.rng.randrange(1, 4)):
            self.wait(150)
            self.tell("message.sent", text=self.say("human"), intent="human", is_fallback=False, actor="human")
        if self.chance(0.2):
            return "escalated"
        self.wait(60)
        return self.resolve("human")

    def score(self, outcome: str) -> None:
        """The customer's rating and a judge's scores: the better the outcome and the shorter the waits, the higher."""
        slow = sum(self.waits) / len(self.waits) / 1000 if self.waits else 0.0
        quality = {"resolved": 0.93, "escalated": 0.45, "abandoned": 0.25, "silent": 0.6}[outcome]
        quality -= 0.08 * self.fallbacks + 0.03 * min(max(slow - 1.5, 0.0), 12.0)
        if self.chance(0.1 if outcome == "silent" else 0.4):
            self.wait(20)
            self.tell("conversation.rated", rating=round(within(quality + self.rng.gauss(0, 0.15)) * 4) / 4)
        if self.chance(0.08):
            self.wait(40)
            self.place = Place.BACKSTAGE
            scores = {
                name: round(within(quality + shift + self.rng.gauss(0, 0.08)), 2)
                for name, shift in (("helpfulness", 0.0), ("accuracy", 0.03), ("politeness", 0.15), ("overall", 0.02))
            }
            self.tell("conversation.scored", judge="llm-judge", rubric="support", rubric_version="2", **scores)


def within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def bank_chat(narrator: Narrator) -> None:
    """A customer of the bank asks the assistant."""
    narrator.converse()


def salon_chat(narrator: Narrator) -> None:
    """A customer of the salon asks the assistant, which leads to a booking where it can."""
    narrator.converse(offer_services)


def offer_services(narrator: Narrator) -> None:
    """Services are suggested and collected in the cart, a slot is held, the booking requested and confirmed."""
    tell, chance, wait = narrator.tell, narrator.chance, narrator.wait
    if chance(0.25):
        return
    services = narrator.tenant["services"]
    total, count = 0, 0
    for service in narrator.rng.sample(list(services), narrator.rng.randrange(1, 4)):
        confidence = narrator.rng.betavariate(6, 2)
        wait(10)
        tell("service.suggested", service_name=service, confidence_score=round(confidence, 2))
        if chance(confidence * 0.8):
            wait(8)
            tell("ai.suggestion_accepted", service_name=service)
            tell("service.added", service_name=service, price=services[service])
            total, count = total + services[service], count + 1
    if not count or chance(0.15):
        return
    wait(20)
    tell("cart.confirmed", items_count=count, total=total, currency="EUR")
    booking = {"booking_id": "b-", "services_count": count, "estimated_total": total, "currency": "EUR"}
    wait(6)
    tell("booking.slot_hold", **booking)
    if chance(0.78):
        wait(40)
        tell("booking.requested", **booking)
        if chance(0.58):
            wait(20)
            tell("booking.confirmed", **booking)
        elif chance(0.6):
            narrator.later("booking.confirmed", 4, **booking)  # when somebody at the salon has looked


def phone_call(narrator: Narrator) -> None:
    """A call to the voice bot. The telephone system knows calls, not conversations: the session is the conversation."""
    tell, chance, wait = narrator.tell, narrator.chance, narrator.wait
    tell("conversation.started", locale=narrator.tenant["locales"][narrator.language])
    helped = True
    turns = 0
    while helped and turns < 6:
        turns += 1
        topic = narrator.topic()
        question = narrator.phrase(topic.questions)
        wait(2)
        tell("voice.turn_started", turn_id=turns)
        for _ in range(narrator.rng.randrange(1, 4)):
            narrator.clock += narrator.about(500)
            tell("voice.asr_partial", turn_id=turns, latency_ms=narrator.about(140, 0.35))
        tell("message.received", text=question, language=narrator.language)
        found = narrator.search(question, topic) if chance(0.5) or not topic.known else True
        helped = found and narrator.use_tools(topic)
        duration = narrator.about(820, 0.4)
        narrator.clock += duration
        narrator.waits.append(duration)
        tell("voice.first_response", turn_id=turns, duration_ms=duration, model="kaze-voice")
        narrator.reply(topic, helped)
        if chance(0.09):
            barged_in = narrator.about(900)
            narrator.clock += barged_in
            tell("voice.barge_in", turn_id=turns, offset_ms=barged_in)
        if not chance(0.55):
            break
    narrator.close(helped)


def shopping(narrator: Narrator) -> None:
    """A visit to the shop: views, perhaps a chat with the assistant, cart, checkout, order, and at times a refund."""
    tell, chance, wait = narrator.tell, narrator.chance, narrator.wait
    products = [(*name.split(" ", 1), price) for name, price in narrator.tenant["products"].items()]
    chosen = []
    interest = narrator.rng.betavariate(2, 3)
    leisure = 6 if chance(0.2) else 1
    for product_id, name, price in narrator.rng.sample(products, min(len(products), 1 + int(narrator.about(2, 0.8)))):
        product = {"product_id": product_id, "product_name": name, "price": price, "currency": "USD"}
        tell("commerce.view", **product)
        wait(35 * leisure)
        if chance(interest * 0.45):
            tell("commerce.add_to_cart", **product, quantity=1)
            chosen.append(price)
            wait(15 * leisure)
    if chance(0.22):
        narrator.converse()
        wait(20)
    if not chosen or chance(0.3):
        return
    total = round(sum(chosen), 2)
    tell("commerce.checkout", order_id="o-", revenue=total, currency="USD")
    wait(60)
    if chance(0.02):
        narrator.error()
        return
    if not chance(0.92 if narrator.eager else 0.55):
        return
    order = {"order_id": "o-", "currency": "USD"}
    tell("commerce.order_completed", **order, revenue=total, items_count=len(chosen))
    if chance(0.07):
        narrator.later("commerce.order_refunded", 96, **order, revenue=total if chance(0.6) else chosen[0])


def registration(narrator: Narrator) -> None:
    """A customer of the salon or the shop signs up."""
    method = narrator.pick(("email", "email", "google", "apple"))
    narrator.tell("user.registered", method=method, email=narrator.phrase(["{email}"]))


def exposure(variant: str) -> Story:
    """A customer of the shop meets a variant of the experiment."""

    def story(narrator: Narrator) -> None:
        narrator.tell("experiment.exposed", experiment=EXPERIMENT, variant=variant)

    return story
