"""Data Docs: a page for each validation, and an index of days, under PARLEY_HOME/data-docs.

The pages are whole by themselves: they load nothing from anywhere.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from parley.quality_gate.expectations import METRICS, figure
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from parley.quality_gate.bounds import Failure, Tried
    from parley.quality_gate.expectations import Expectation
    from parley.quality_gate.validation import DayResult

FOLDER = "data-docs"
_NAME = "validated-%Y%m%dT%H%M%S%fZ.html"
_DAYS = ("day (UTC)", "tenant", "result", "events", "lines received", "blocking", "warning")
_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2em; color: #1b1b1b; max-width: 80em }
table { border-collapse: collapse; margin: 0.5em 0 2em }
td, th { padding: 0.3em 1.2em 0.3em 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd }
td { font-variant-numeric: tabular-nums } td:first-child, td:nth-child(2) { white-space: nowrap }
.blocked { color: #b00020; font-weight: 600 } .warned { color: #7a5c00; font-weight: 600 } .passed { color: #1a6b2f }
"""
_RESULT_OF = {"block": "blocked", "warn": "warned"}


def name_of(validated_at: datetime) -> str:
    """The file of a validation's page."""
    return validated_at.strftime(_NAME)


def write_page(folder: Path, html: str, validated_at: datetime) -> str:
    """Write the page of a validation, and return its file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    name = name_of(validated_at)
    (folder / name).write_text(html, encoding="utf-8")
    return name


def prune(folder: Path, days: int, now: datetime) -> None:
    """Remove the pages of validation longer ago than so many days."""
    oldest = (now - timedelta(days=days)).strftime(_NAME)
    for page in folder.glob("validated-*.html"):
        if page.name < oldest:
            page.unlink(missing_ok=True)


def forget(folder: Path, tenant_id: str, results: Iterable["DayResult"]) -> None:
    """Remove the pages that name a tenant, and write the index of what is left."""
    for path in folder.glob("validated-*.html"):
        if _cell(escape(tenant_id)) in path.read_text(encoding="utf-8"):
            path.unlink()
    if folder.exists():
        write_index(folder, results)


def page(
    results: Sequence["DayResult"], failures: Sequence["Failure"], tried: Sequence["Tried"], validated_at: datetime
) -> str:
    """The page of a validation: what came of each day, what is out of bounds, and what was expected."""
    days = sorted({result.day for result in results})
    about = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    found = [_finding(failure) for failure in failures]
    return _document(
        f"Input gate: {about}",
        f"<p>Raw events of {about} (UTC), validated at {validated_at:%Y-%m-%d %H:%M} UTC by Great Expectations."
        ' <a href="index.html">All days</a></p>'
        "<p>A day that <b>warned</b> is built all the same. Of one that is <b>blocked</b> nothing is built until it is"
        " fixed or released: <code>parley inputs list</code> says how.</p>"
        "<h2>Out of bounds</h2>"
        + (
            _table(("day (UTC)", "tenant", "event type", "result", "what", "seen", "expected", "why"), found)
            if found
            else "<p>Nothing.</p>"
        )
        + "<h2>Days</h2>"
        + _table(_DAYS, [_day(result) for result in results])
        + "<h2>What was expected</h2>"
        + _table(
            ("expectation", "of", "what", "expected", "result", "figures tried", "out of bounds"),
            [_tried(each) for each in tried],
        ),
    )


def write_index(folder: Path, results: Iterable["DayResult"]) -> None:
    """Write `index.html`: the days, each with a link to the page of its validation while that is there."""
    rows = [
        (
            *_day(result, has_page=result.page is not None and (folder / result.page).exists()),
            f"{result.validated_at:%Y-%m-%d %H:%M}",
            escape(_released(result)),
        )
        for result in results
    ]
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "index.html.part"
    body = _table((*_DAYS, "validated at (UTC)", "released"), rows)
    draft.write_text(_document("Input gate", body), encoding="utf-8")
    draft.replace(folder / "index.html")


def _document(title: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{_STYLE}</style></head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    lines = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{lines}\n</table>"


def _cell(content: str) -> str:
    return f"<td>{content}</td>"


def _day(result: "DayResult", *, has_page: bool = False) -> tuple[str, ...]:
    day = f'<a href="{escape(str(result.page))}">{result.day}</a>' if has_page else f"{result.day}"
    return (
        day,
        _of(result.tenant_id, "all tenants"),
        _result(result.result),
        f"{result.events:,}",
        f"{result.received:,}",
        f"{result.blocking:,}",
        f"{result.warning:,}",
    )


def _released(result: "DayResult") -> str:
    return f"by {result.released_by}: {result.release_reason}" if result.released_at else ""


def _finding(failure: "Failure") -> tuple[str, ...]:
    expectation = failure.expectation
    return (
        f"{failure.day}",
        _of(failure.tenant_id, "all tenants"),
        _of(failure.event_name, "all types"),
        _result(_RESULT_OF[expectation.severity]),
        escape(f"{expectation.name}: {METRICS[expectation.metric].meaning}"),
        figure(expectation.metric, failure.observed),
        _bounds(expectation),
        escape(expectation.description),
    )


def _tried(each: "Tried") -> tuple[str, ...]:
    expectation = each.expectation
    return (
        escape(expectation.name),
        _of(expectation.tenant_id, "all tenants"),
        escape(METRICS[expectation.metric].meaning),
        _bounds(expectation),
        _result(_RESULT_OF[expectation.severity] if each.failures else "passed"),
        f"{each.figures:,}",
        f"{each.failures:,}",
    )


def _bounds(expectation: "Expectation") -> str:
    least, most = (
        None if bound is None else figure(expectation.metric, bound)
        for bound in (expectation.minimum, expectation.maximum)
    )
    if least is not None and most is not None:
        return f"{least} to {most}"
    return f"at least {least}" if least is not None else f"at most {most}"


def _of(name: str, everything: str) -> str:
    return everything if name == EVERY_TENANT else escape(name)


def _result(word: str) -> str:
    return f'<span class="{word}">{word}</span>'
