"""`parley load`: land the events of files."""

import getpass
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import complain, console, errors
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.landing.loader import Progress
    from parley.landing.loads import Reason, Report

By = Annotated[str | None, typer.Option(help="Who is noted in raw.loads.", show_default="you")]
HEADINGS = ("received", "accepted", "duplicate", "rejected", "no consent", "erased")
TENANTS_SHOWN = 5


def load(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="NDJSON, CSV or Parquet, also gzipped; - for standard input."),
    ],
    dialect: Annotated[str, typer.Option(help="Whose envelope it is: one of tracking_plan/dialects.yml.")] = "parley",
    tenant: Annotated[str | None, typer.Option(help="The tenant of events that name none.")] = None,
    by: By = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with status 1 if an event is rejected.")] = False,
) -> None:
    """Land the events of files, each exactly once.

    What is sent again is only counted, and what is refused is kept with the reason.

    A load that broke off goes on where it stopped when the same command is run again.

    Example: [bold]parley load events.ndjson.gz[/]

    Example: [bold]parley load bot/*.ndjson --dialect bot --tenant salon-paris[/]
    """
    from parley.landing import loader, sources
    from parley.settings import Settings

    settings = Settings.load()
    for file in files:
        sources.check(file)
    reports: list[tuple[str, Report]] = []
    broken = False
    for file in files:
        try:
            with _progress(file) as show:
                report = loader.load(
                    settings, file, dialect=dialect, tenant_id=tenant, loaded_by=by or whoami(), on_progress=show
                )
            reports.append((Path(file).name, report))
        except sources.SourceError as error:  # the other files can be read all the same
            complain(error)
            broken = True
    if reports:
        show_reports(reports)
    if broken:
        raise typer.Exit(1)
    if strict and any(report.counts.rejected for _, report in reports):
        raise ParleyError("Events were rejected: mend them or the tracking plan, then run `parley replay-rejected`.")


def whoami() -> str | None:
    """The name of the operating system's user, None where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def show_reports(reports: Sequence[tuple[str, "Report"]]) -> None:
    """Print what came of loads, by the names of their sources: counts, reasons of refusal, tenants without settings."""
    from rich.table import Table

    from parley.landing.batches import Counts

    table = Table("", *HEADINGS, box=None, header_style="bold", pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, report in reports:
        resumed = f" (went on after line {report.resumed_after:,})" if report.resumed_after else ""
        table.add_row(escape(name) + resumed, *(f"{number:,}" for number in astuple(report.counts)))
    if len(reports) > 1:
        total = sum((report.counts for _, report in reports), Counts())
        table.add_row("all", *(f"{number:,}" for number in astuple(total)), style="bold")
    console.print(table)
    _show_reasons(reason for _, report in reports for reason in report.reasons)
    if unclear := sum(report.unclear_consent for _, report in reports):
        console.print(
            f"{unclear:,} events had a consent (context.consent) that says neither yes nor no, which counts as no.",
            soft_wrap=True,
        )
    unlisted = sorted({tenant for _, report in reports for tenant in report.unlisted_tenants})
    if unlisted:
        more = f" and {len(unlisted) - TENANTS_SHOWN:,} more" if len(unlisted) > TENANTS_SHOWN else ""
        names = escape(", ".join(unlisted[:TENANTS_SHOWN]))
        console.print(f"Tenants not in seeds/tenants.csv, for which the defaults hold: {names}{more}.", soft_wrap=True)


def _show_reasons(reasons: Iterable["Reason"]) -> None:
    from rich.table import Table

    lines: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for reason in reasons:
        lines[reason.reason] += reason.lines
        examples.setdefault(reason.reason, reason.example)
    if not lines:
        return
    table = Table("rejected for", "events", "such as", box=None, header_style="bold", pad_edge=False)
    table.columns[1].justify = "right"
    for name, number in lines.most_common():
        table.add_row(name, f"{number:,}", escape(examples[name]))
    console.print()
    console.print(table)
    console.print("When they or the tracking plan are mended: [bold]parley replay-rejected[/]")


@contextmanager
def _progress(file: str) -> Iterator[Callable[["Progress"], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[events]:,} events"))
    with Bar(*columns, TimeRemainingColumn(), console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(escape(file), total=None, events=0)

        def show(progress: "Progress") -> None:
            total = None if progress.share is None else 1.0
            bar.update(task, total=total, completed=progress.share or 0.0, events=progress.counts.received)

        yield show
