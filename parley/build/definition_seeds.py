"""What each cell of the seeds in which users define something may be (`parley.build.definitions` checks them)."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.analytics.scales import CHANGED_FIELDS, DIRECTIONS, SCALES
from parley.config import people, seeds, tenants
from parley.config.seeds import Column, day, flag, later, names, number, one_of, optional, text, whole

MOST_STEPS = 20
MOST_EXCLUSIONS = 31  # bits of a mask
EXCLUDED_BY = ("user_id", "anonymous_id", "site_id", "source", "event_name")
SCORES = ("helpfulness", "accuracy", "politeness")
SIGNALS = (  # as the macro signals_of has them
    *("resolution", "rating", "ending", "progress", "refusals", "bookings", "answered", "fallbacks", "escalation"),
    *("repetition", "response_time", "kb_found", "kb_used", "tools", "errors", "customer_tone", "assistant_tone"),
)


@dataclass(frozen=True, slots=True)
class Seed:
    """What a seed may hold."""

    columns: Mapping[str, Column]
    key: tuple[str, ...]
    """Columns that no two rows share."""
    needs_default: bool = False
    """Whether it must have a row for tenants without their own."""


_ID, _NAME, _TENANT = Column(text), Column(text), Column(text)
_EVENTS, _PREDICATE = Column(names), optional(text)
_SHARE, _MONEY = Column(number(0, 1)), Column(number(0))


def _looked_at(cell: str) -> str:
    if cell not in EXCLUDED_BY and not (cell.startswith("context.") and all(cell.split("."))):
        raise ValueError(f"{', '.join(EXCLUDED_BY)}, or a place in the context such as context.userAgent")
    return cell


SEEDS = {
    "funnel_definitions": Seed(
        {
            "funnel_id": _ID,
            "name": _NAME,
            "tenant_id": _TENANT,
            "unit": Column(one_of("user", "conversation", "session")),
            "step_order": Column(one_of("ordered", "strict", "unordered")),
            "window_seconds": Column(whole(1)),
            "breakdown": optional(text),
            "breakdown_touch": optional(one_of("first", "last", "step", "all_events")),
            "breakdown_step": optional(whole(1, MOST_STEPS)),
            "breakdown_limit": optional(whole(1)),
            "ties": optional(one_of("any", "after")),
        },
        key=("funnel_id",),
    ),
    "funnel_steps": Seed(
        {
            "funnel_id": _ID,
            "step": Column(whole(1, MOST_STEPS)),
            "step_name": _NAME,
            "event_names": _EVENTS,
            "predicate": _PREDICATE,
            "is_optional": optional(flag),
        },
        key=("funnel_id", "step"),
    ),
    "funnel_exclusions": Seed(
        {
            "funnel_id": _ID,
            "exclusion": Column(whole(1, MOST_EXCLUSIONS)),
            "event_names": _EVENTS,
            "predicate": _PREDICATE,
            "after_step": Column(whole(1, MOST_STEPS)),
            "before_step": Column(whole(1, MOST_STEPS)),
        },
        key=("funnel_id", "exclusion"),
    ),
    "cohort_definitions": Seed(
        {
            "cohort_id": _ID,
            "name": _NAME,
            "tenant_id": _TENANT,
            "kind": Column(one_of("first_time", "recurring")),
            "cohort_event": optional(names),
            "cohort_where": later(text),
            "returning_event": optional(names),
            "returning_where": later(text),
            "returning_minimum": later(whole(1)),
            "breakdown": later(text),
            "breakdown_limit": later(whole(1)),
            "hour_columns": later(whole(0)),
            **dict.fromkeys(("day_columns", "week_columns", "month_columns"), Column(whole(0))),
        },
        key=("cohort_id",),
    ),
    "activity_definitions": Seed(
        {
            "activity_id": _ID,
            "name": _NAME,
            "tenant_id": _TENANT,
            "event_names": optional(names),
            "predicate": _PREDICATE,
        },
        key=("activity_id",),
    ),
    "segment_definitions": Seed(
        {"segment_id": _ID, "name": _NAME, "tenant_id": _TENANT, "predicate": Column(text)},
        key=("segment_id", "tenant_id"),
    ),
    "experiment_variants": Seed(
        {"experiment": _ID, "variant": _ID, "is_control": Column(flag), "weight": optional(number(0))},
        key=("experiment", "variant"),
    ),
    "experiment_metrics": Seed(
        {
            "experiment": _ID,
            "metric": _ID,
            "kind": Column(one_of("proportion", "mean")),
            "source": Column(one_of("orders", "revenue", "resolved", "funnel")),
            "funnel_id": optional(text),
            "window_days": Column(whole(1)),
        },
        key=("experiment", "metric"),
    ),
    "gap_settings": Seed(
        {
            "tenant_id": _TENANT,
            "relevance_threshold": Column(number(0)),
            "encoder": Column(one_of("words", "sentences")),
        },
        key=("tenant_id",),
        needs_default=True,
    ),
    "filler_phrases": Seed({"phrase": Column(text), "language": Column(text)}, key=("phrase", "language")),
    "gap_synonyms": Seed(
        {"term": Column(text), "language": Column(text), "concept": Column(text)}, key=("term", "language", "concept")
    ),
    "quality_weights": Seed(
        {
            "tenant_id": _TENANT,
            "rubric_version": Column(text),
            "score": Column(one_of(*SCORES, "overall")),
            "signal": Column(one_of(*SIGNALS, *SCORES)),
            "weight": Column(number(0)),
        },
        key=("tenant_id", "score", "signal"),
        needs_default=True,
    ),
    "quality_settings": Seed(
        {
            "tenant_id": _TENANT,
            **dict.fromkeys(("low_overall", *(f"low_{score}" for score in SCORES)), _SHARE),
            "question_words": Column(whole(1)),
            "repeat_similarity": _SHARE,
            "repeat_lookback": Column(whole(1)),
            "ending_messages": Column(whole(1)),
            "success_messages": Column(whole(1)),
        },
        key=("tenant_id",),
        needs_default=True,
    ),
    "quality_judges": Seed({"judge": Column(text)}, key=("judge",)),
    "politeness_lexicon": Seed(
        {
            "term": Column(text),
            "language": Column(text),
            "speaker": Column(one_of("assistant", "customer", "both")),
            "kind": Column(one_of("polite", "rude", "apology", "success", "refusal")),
        },
        key=("term", "language", "speaker", "kind"),
    ),
    "roi_assumptions": Seed(
        {
            "tenant_id": _TENANT,
            **{
                column: _MONEY
                for assumption, stem in (
                    ("minutes_per_conversation", "minutes"),
                    ("hourly_cost", "hourly_cost"),
                    ("cost_per_conversation", "cost_per_conversation"),
                )
                for column in (assumption, f"{stem}_low", f"{stem}_high")
            },
        },
        key=("tenant_id",),
        needs_default=True,
    ),
    "model_prices": Seed(
        {
            "tenant_id": _TENANT,
            "model": Column(text),
            "valid_from": Column(day),
            "input_price": _MONEY,
            "output_price": _MONEY,
            "currency": optional(text),
        },
        key=("tenant_id", "model", "valid_from"),
    ),
    "anomaly_settings": Seed(
        {
            "tenant_id": _TENANT,
            "event_name": Column(text),
            "metric": Column(one_of(*SCALES, CHANGED_FIELDS)),
            "direction": Column(one_of(*DIRECTIONS)),
            **dict.fromkeys(("threshold", "min_volume", "min_change"), Column(number(0))),
            **dict.fromkeys(("training_days", "min_training_days"), Column(whole(7, 366))),
        },
        key=("tenant_id", "event_name", "metric"),
    ),
    "placeholder_ids": Seed(people.COLUMNS, key=("id",)),
    "excluded_traffic": Seed(
        {"tenant_id": _TENANT, "field": Column(_looked_at), "pattern": Column(text), "reason": Column(text)},
        key=("tenant_id", "field", "pattern"),
    ),
    "holidays": Seed({"tenant_id": _TENANT, "date": Column(day), "name": Column(text)}, key=("tenant_id", "date")),
    "rating_settings": Seed(
        {"tenant_id": _TENANT, "good_rating": Column(number(0, 1))}, key=("tenant_id",), needs_default=True
    ),
    "opening_hours": Seed(
        {
            "tenant_id": _TENANT,
            "weekday": Column(one_of(*tenants.WEEKDAYS)),
            "opens": Column(seeds.clock),
            "closes": Column(seeds.clock),
        },
        key=("tenant_id", "weekday", "opens"),
    ),
    "exchange_rates": Seed(
        {
            "date": Column(day),
            "from_currency": Column(tenants.currency),
            "to_currency": Column(tenants.currency),
            "rate": Column(seeds.positive),
        },
        key=("date", "from_currency", "to_currency"),
    ),
    "freshness_settings": Seed(
        {"tenant_id": _TENANT, "channel": Column(text), "max_silence_hours": Column(number(0))},
        key=("tenant_id", "channel"),
    ),
}
