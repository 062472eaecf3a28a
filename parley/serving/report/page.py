"""The HTML of a report: one template for the page, which holds all it needs, and for the mail that shows it.

Programs that show mail strip SVG and images in the text, so there the charts are PNG parts of the mail (`cid:`), and
the layout asks for no more of CSS than they know.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from parley.serving.report import charts, formats
from parley.serving.report.charts import Chart
from parley.serving.report.rows import Cell, Report
from parley.settings import Settings

METRICS = Path("models", "metrics")
TEMPLATE = "page.html.j2"
PALEST, DARKEST = (0xF1, 0xF6, 0xFB), (0x1F, 0x5F, 0xA8)
"""Of the heat map, in red, green and blue: a share of nothing, and of all."""
WHITE_FROM = 0.55  # the share from which on letters on it are white

Better = Literal["more", "less", None]


@dataclass(frozen=True, slots=True)
class Definition:
    """What a figure is called, and what it means."""

    label: str
    description: str


@dataclass(frozen=True, slots=True)
class Line:
    """A figure of the period beside that of the period before, as text."""

    name: str
    label: str
    description: str
    value: float
    now: str
    before: str
    change: str
    tone: Literal["good", "bad", ""]


@dataclass(frozen=True, slots=True)
class Page:
    """A report in every form that is sent or stored."""

    title: str
    text: str
    """The main figures in some sentences, for those who see no HTML."""
    html: str
    """With everything in it."""
    mail: str
    """Which shows the charts as parts of the mail, by `file_of`."""
    charts: list[Chart]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a figure is written and compared."""

    text: Callable[[float | None], str]
    change: Callable[[float | None, float | None], str]
    better: Better = None


_COUNT = _Kind(formats.count, formats.change)
_RATE = _Kind(formats.share, formats.points, "more")
_BAD_RATE = _Kind(formats.share, formats.points, "less")
_TIME = _Kind(formats.duration, formats.change, "less")
_SCORE = _Kind(formats.score, formats.difference, "more")

_NOT_IN_CATALOGUE = {
    "active_users": Definition("Active customers", "Distinct customers with any event. Date basis: the event."),
    "new_users": Definition("New customers", "Active customers never seen before. Date basis: their first event."),
    "booking_value": Definition(
        "Value of requested bookings", "Sum of their estimated totals. Date basis: the request."
    ),
}
_TILES = ("total_conversations", "resolution_rate", "response_time_ms_p50", "active_users", "escalation_rate")
_MOST_TILES = 4


def render(settings: Settings, report: Report) -> Page:
    """The page of a report."""
    lines = _lines(report, _definitions(settings))
    by_name = {line.name: line for line in lines}
    pictures = charts.draw(report)
    text = _sentences(report, by_name)
    environment = Environment(
        loader=PackageLoader("parley.serving.report", "."),
        autoescape=select_autoescape(("j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": formats.count,
        "share": formats.share,
        "money": partial(formats.money, currency=report.tenant.currency or ""),
        "day": formats.day,
        "figure": _figure,
    }
    template = environment.get_template(TEMPLATE)
    title = f"{report.tenant.name}: {report.period.name}"
    shown = {
        "report": report,
        "title": title,
        "sentences": text,
        "lines": lines,
        "tiles": [by_name[name] for name in _TILES if name in by_name][:_MOST_TILES],
        "charts": pictures,
        "funnels": [(name, list(steps)) for name, steps in groupby(report.funnels, lambda step: step.funnel_name)],
        "retention": _triangle(report.retention),
        "shade": _shade,
        "points": formats.points,
    }
    return Page(
        title=title,
        text="\n\n".join(text),
        html=template.render(shown, source=_data),
        mail=template.render(shown, source=lambda chart: f"cid:{file_of(chart)}"),
        charts=pictures,
    )


def file_of(chart: Chart) -> str:
    """The name under which a mail holds a chart."""
    return f"{chart.name}.png"


def _data(chart: Chart) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(chart.svg).decode()}"


def _definitions(settings: Settings) -> Mapping[str, Definition]:
    """Labels and descriptions of the catalogue of metrics, from its files: MetricFlow would take seconds to load."""
    found = dict(_NOT_IN_CATALOGUE)
    for path in sorted((settings.project / METRICS).glob("*.yml")):
        for metric in yaml.safe_load(path.read_text()).get("metrics", ()):
            found.setdefault(metric["name"], Definition(metric["label"], " ".join(metric["description"].split())))
    return found


def _lines(report: Report, definitions: Mapping[str, Definition]) -> list[Line]:
    """The figures that there are."""
    kinds = _kinds(report.tenant.currency or "")
    lines = []
    for name, kind in kinds.items():
        now, before = getattr(report.now, name), getattr(report.before, name)
        if now is None:
            continue
        change = kind.change(now, before)
        lines.append(
            Line(
                name=name,
                label=definitions[name].label,
                description=definitions[name].description,
                value=now,
                now=kind.text(now),
                before=kind.text(before),
                change=change,
                tone=_tone(kind.better, change),
            )
        )
    return lines


def _kinds(currency: str) -> Mapping[str, _Kind]:
    amount = _Kind(partial(formats.money, currency=currency), formats.change, "more")
    return {
        "total_conversations": _COUNT,
        "resolution_rate": _RATE,
        "escalation_rate": _BAD_RATE,
        "abandonment_rate": _BAD_RATE,
        "response_time_ms_p50": _TIME,
        "response_time_ms_p95": _TIME,
        "response_time_ms_p99": _TIME,
        "unanswered_turns": _Kind(formats.count, formats.change, "less"),
        "active_users": _COUNT,
        "new_users": _COUNT,
        "unique_customers": _COUNT,
        "avg_rating": _SCORE,
        "overall_quality_score": _SCORE,
        "kb_hit_rate": _RATE,
        "bookings_confirmed": _Kind(formats.count, formats.change, "more"),
        "booking_value": amount,
        "orders": _Kind(formats.count, formats.change, "more"),
        "revenue": amount,
    }


def _tone(better: Better, change: str) -> Literal["good", "bad", ""]:
    if better is None or change[0] not in "+−":
        return ""
    return "good" if (change[0] == "+") is (better == "more") else "bad"


def _sentences(report: Report, lines: Mapping[str, Line]) -> list[str]:
    """What matters most, in plain words."""
    if not report.now.total_conversations:
        return [f"{report.tenant.name} had no conversation in these days ({report.period.name})."]
    said = []
    conversations = lines["total_conversations"]
    before = f"against {conversations.before} in the {report.period.noun} before"
    said.append(
        f"{report.tenant.name} had {conversations.now} conversations, {before}. "
        f"{lines['resolution_rate'].now} were resolved ({_against(lines['resolution_rate'])}), "
        f"{lines['escalation_rate'].now} escalated and {lines['abandonment_rate'].now} abandoned."
    )
    if "response_time_ms_p50" in lines:
        said.append(
            f"Half of the answers took {lines['response_time_ms_p50'].now} or less, "
            f"and one in twenty longer than {lines['response_time_ms_p95'].now} "
            f"({_against(lines['response_time_ms_p95'])})."
        )
    if report.now.unanswered_turns:
        said.append(f"{_number(report.now.unanswered_turns, 'question', 'questions')} stayed without an answer.")
    if apart := report.now.other_currency_orders:
        were = _number(apart, "order was", "orders were")
        said.append(f"{were} in a currency without a rate, and in no sum: add it to exchange_rates.csv.")
    if report.gaps:
        gap = report.gaps[0]
        said.append(
            f"What customers ask most and nothing answers: {gap.topic}, "
            f"{gap.frequency:,} times by {gap.customers:,} of them so far."
        )
    if report.alerts:
        said.append(f"{_number(len(report.alerts), 'alert is', 'alerts are')} firing.")
    return said


def _against(line: Line) -> str:
    return f"{line.before} before" if line.before != formats.UNKNOWN else "nothing to compare with"


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _figure(value: float, metric: str) -> str:
    """What a metric of the input was; `_share` says which of them are shares."""
    if metric.endswith("_share"):
        return formats.share(value)
    return f"{value:,.{0 if value >= 100 or value == int(value) else 1}f}"


def _triangle(cells: Sequence[Cell]) -> dict[str, Any] | None:
    """The cohorts with their cells from the first period after on; None where nobody could have come back yet."""
    last = max((cell.period_index for cell in cells), default=0)
    if not last:
        return None
    rows = []
    for (start, size), of_cohort in groupby(cells, lambda cell: (cell.cohort_start, cell.cohort_size)):
        rates = {cell.period_index: cell.retention_rate for cell in of_cohort}
        rows.append({"start": start, "size": size, "rates": [rates.get(index) for index in range(1, last + 1)]})
    return {"name": cells[0].cohort_name, "columns": range(1, last + 1), "rows": rows}


def _shade(rate: float) -> str:
    """The colours of a cell of the heat map, as CSS."""
    mixed = (round(pale + (dark - pale) * rate) for pale, dark in zip(PALEST, DARKEST, strict=True))
    return f"background:#{''.join(f'{part:02x}' for part in mixed)};color:{'#fff' if rate >= WHITE_FROM else '#1c2733'}"
