"""The pictures of a report, as SVG for the page and as PNG for mails, which show no SVG. The same figures make the same
bytes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from parley.serving.report.formats import MINUTE_MS, SECOND_MS, SPACE, count, duration, share
from parley.serving.report.rows import Day, Report

THIS = "these days"
NOW, BEFORE, BEHIND, LIMIT = "#1f5fa8", "#98a4b1", "#d3dae2", "#b3261e"
SHADES = ("#9cc3ea", "#4b8fd0", "#123f73")
INK, FAINT = "#3c4653", "#e4e8ed"
SIZE = (4.6, 2.5)  # inches; half a page wide, a whole telephone
DOTS = 200  # per inch, of PNG
MOST_TICKS = 8
TICKS_MS = (
    *(100, 300, *(seconds * SECOND_MS for seconds in (1, 3, 10, 30))),
    *(minutes * MINUTE_MS for minutes in (1, 5, 20, 60)),
)
STYLE = {
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "svg.fonttype": "path",  # looks the same without the font
    "svg.hashsalt": "parley",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture, and what it shows in words."""

    name: str
    title: str
    alt: str
    svg: bytes
    png: bytes


def draw(report: Report) -> list[Chart]:
    """The charts of a report, those left out of which no day has a value."""
    charts = []
    if any(day.conversations for day in (*report.days, *report.days_before)):
        charts.append(_compared(report, "conversations", "Conversations", lambda day: day.conversations, count))
    if any(day.resolution_rate is not None for day in report.days):
        charts.append(_compared(report, "resolution_rate", "Resolution rate", lambda day: day.resolution_rate, share))
    if any(day.p50_ms is not None for day in report.days):
        charts.append(_response_times(report))
    if any(day.active_users for day in (*report.days, *report.days_before)):
        charts.append(_compared(report, "active_users", "Active customers", lambda day: day.active_users, count))
    return charts


def _compared(
    report: Report,
    name: str,
    title: str,
    value: Callable[[Day], float | None],
    text: Callable[[float], str],
) -> Chart:
    """Each day of the period, with the days of the period before behind it: bars of counts, points of rates."""
    now, before = [value(day) for day in report.days], [value(day) for day in report.days_before]

    def paint(axes: Axes) -> None:
        behind = before[: len(now)]
        label = f"{report.period.noun} before"
        if text is share:
            axes.plot(range(len(behind)), _points(behind), color=BEFORE, marker="o", markersize=3, label=label)
            axes.plot(range(len(now)), _points(now), color=NOW, linewidth=2, marker="o", markersize=4, label=THIS)
            axes.set_ylim(0, 1.04)
            axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=f"{SPACE}%"))
        else:
            axes.bar(range(len(behind)), _points(behind), width=0.84, color=BEHIND, label=label)
            axes.bar(range(len(now)), _points(now), width=0.46, color=NOW, label=THIS)
            axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: text(tick)))

    return _chart(report, name, f"{title} per day", _extremes(report.days, now, text), paint)


def _response_times(report: Report) -> Chart:
    lines = {
        "median": [day.p50_ms for day in report.days],
        "95th percentile": [day.p95_ms for day in report.days],
        "99th percentile": [day.p99_ms for day in report.days],
    }

    def paint(axes: Axes) -> None:
        for (label, values), colour in zip(lines.items(), SHADES, strict=True):
            axes.plot(
                range(len(values)), _points(values), color=colour, linewidth=1.8, marker="o", markersize=3, label=label
            )
        axes.axhline(report.tenant.sla_ms, color=LIMIT, linewidth=1, linestyle=(0, (4, 3)), label="limit")
        axes.set_yscale("log")
        least, most = axes.get_ylim()
        axes.set_yticks([tick for tick in TICKS_MS if least <= tick <= most], minor=False)
        axes.set_yticks([], minor=True)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: re.sub(r"\.0+", "", duration(tick))))

    said = "; ".join(f"{label}: {_extremes(report.days, values, duration)}" for label, values in lines.items())
    said += f"; the limit is {duration(report.tenant.sla_ms)}"
    return _chart(report, "response_times", "Response times per day", said, paint)


def _chart(report: Report, name: str, title: str, said: str, paint: Callable[[Axes], None]) -> Chart:
    with style.context(["default", STYLE]):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        paint(axes)
        _label_days(axes, report.period.dates)
        shown = sorted(zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] != THIS)
        handles, labels = zip(*shown, strict=True)
        figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), handlelength=1.4, columnspacing=1.2)
        svg, png = BytesIO(), BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=DOTS, metadata={"Software": None})
    return Chart(name, title, f"{title}: {said}.", svg.getvalue(), png.getvalue())


def _label_days(axes: Axes, dates: Sequence[date]) -> None:
    step = -(-len(dates) // MOST_TICKS)
    places = list(range(0, len(dates), step))
    is_week = len(dates) <= MOST_TICKS
    axes.set_xticks(
        places, [f"{dates[place]:%a}" if is_week else f"{dates[place].day} {dates[place]:%b}" for place in places]
    )
    axes.margins(x=0.04)


def _points(values: Sequence[float | None]) -> list[Any]:
    """A gap where there is no value."""
    return [float("nan") if value is None else value for value in values]


def _extremes(days: Sequence[Day], values: Sequence[float | None], text: Callable[[float], str]) -> str:
    known = [(value, day.date) for value, day in zip(values, days, strict=True) if value is not None]
    if not known:
        return "no values"
    most, least = max(known, key=lambda point: point[0]), min(known, key=lambda point: point[0])
    return f"most {text(most[0])} on {_day(most[1])}, least {text(least[0])} on {_day(least[1])}"


def _day(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B}"
