"""Data Docs: a page of Great Expectations for each judgement, and an index of days, under PARLEY_HOME/data-docs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parley.quality_gate.validation import Verdict

FOLDER = "data-docs"
_NAME = "judged-%Y%m%dT%H%M%S%fZ.html"
_HEADINGS = (
    "day (UTC)",
    "tenant",
    "verdict",
    "events",
    "lines received",
    "blocking",
    "warning",
    "judged at (UTC)",
    "released",
)


def write_page(folder: Path, html: str, judged_at: datetime) -> str:
    """Write the page of a judgement, and return its file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    name = judged_at.strftime(_NAME)
    (folder / name).write_text(html, encoding="utf-8")
    return name


def prune(folder: Path, days: int, now: datetime) -> None:
    """Remove the pages of judgements longer ago than so many days."""
    oldest = (now - timedelta(days=days)).strftime(_NAME)
    for page in folder.glob("judged-*.html"):
        if page.name < oldest:
            page.unlink(missing_ok=True)


def write_index(folder: Path, verdicts: Iterable["Verdict"]) -> None:
    """Write `index.html`: the days, each with a link to the page of its judgement while that is there."""
    headings = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    rows = "\n".join(
        _row(verdict, verdict.page is not None and (folder / verdict.page).exists()) for verdict in verdicts
    )
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "index.html.part"
    draft.write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Input gate</title><style>
body {{ font-family: sans-serif; margin: 2em }}
td, th {{ padding: 0.2em 1em 0.2em 0; text-align: left }}
.blocked {{ color: #b00020 }} .warned {{ color: #8a6d00 }}
</style></head>
<body>
<h1>Input gate</h1>
<table>
<tr>{headings}</tr>
{rows}
</table>
</body>
</html>
""",
        encoding="utf-8",
    )
    draft.replace(folder / "index.html")


def _row(verdict: "Verdict", has_page: bool) -> str:
    day = f'<a href="{escape(str(verdict.page))}">{verdict.day}</a>' if has_page else f"{verdict.day}"
    released = f"by {verdict.released_by}: {verdict.release_reason}" if verdict.released_at else ""
    cells = (
        day,
        escape(verdict.tenant_id),
        verdict.verdict,
        f"{verdict.events:,}",
        f"{verdict.received:,}",
        f"{verdict.blocking:,}",
        f"{verdict.warning:,}",
        f"{verdict.judged_at:%Y-%m-%d %H:%M}",
        escape(released),
    )
    return f'<tr class="{verdict.verdict}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
