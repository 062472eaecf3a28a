"""`parley load`: land the events of files."""

import getpass
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape

from parley.cli import complain, console, errors
from parley.errors import ParleyError, may_pass

if TYPE_CHECKING:
    from parley.landing.loader import Progress
    from parley.landing.loads import Reason, Report
    from parley.settings import Settings

By = Annotated[str | None, typer.Option(help="Who is noted in raw.loads.", show_default="you")]
HEADINGS = ("received", "accepted", "duplicate", "rejected", "no consent", "erased")
TENANTS_SHOWN = 5
FIELDS_SHOWN = 12
WATCH_SECONDS = 2.0
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="The source format: a name of `parley formats list`, or a .jq file of your own.",
        show_default="recognised",
    ),
]


def load(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE…", help="JSON, CSV or Parquet, also gzipped; - for standard input."),
    ] = None,
    source_format: Format = None,
    dialect: Annotated[str | None, typer.Option(hidden=True)] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of events that name none.")] = None,
    by: By = None,
    watch: Annotated[
        Path | None, typer.Option(help="Go on landing what arrives in this inbox, until stopped. See docs/inbox.md.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with status 1 if an event is rejected.")] = False,
) -> None:
    """Land the events of files, each exactly once.

    What is sent again is only counted, and what is rejected is kept with the reason.

    A load that broke off goes on where it stopped when the same command is run again.

    Example: [bold]parley load events.ndjson.gz[/]

    Example: [bold]parley load export/*.json --format segment --tenant salon-paris[/]

    Example: [bold]parley load --watch inbox[/]
    """
    from parley.landing import loader, recognition, sources
    from parley.settings import Settings

    settings = Settings.load()
    source_format = source_format or dialect
    if watch is not None:
        if files or source_format or tenant:
            raise ParleyError("--watch takes format and tenant from the folders of the inbox: give nothing else.")
        _watch(settings, watch, by or whoami())
    if not files:
        raise ParleyError("There is nothing to load: name the files, or an inbox with --watch.")
    for file in files:
        sources.check(file)
    reports: list[tuple[str, Report]] = []
    broken = False
    for file in files:
        try:
            named = source_format or recognition.recognise(settings, file)
            if source_format is None and named != "parley":
                console.print(f"{escape(Path(file).name)} is read as {named}.", soft_wrap=True)
            with _progress(file) as show:
                report = loader.load(
                    settings, file, source_format=named, tenant_id=tenant, loaded_by=by or whoami(), on_progress=show
                )
            reports.append((Path(file).name, report))
        except (sources.SourceError, recognition.UnclearFormatError) as error:  # other files can be read all the same
            complain(error)
            broken = True
    if reports:
        show_reports(reports)
        look_for_alerts(settings)
    if broken:
        raise typer.Exit(1)
    if strict and any(report.counts.rejected for _, report in reports):
        raise ParleyError("Events were rejected: fix them or the tracking plan, then run `parley replay-rejected`.")
    for name, report in reports:
        if report.problem:
            raise ParleyError(f"{name}: {report.problem}")


def _watch(settings: "Settings", folder: Path, by: str | None) -> NoReturn:
    from parley.landing import inbox

    if not folder.is_dir():
        raise ParleyError(f"There is no folder {folder}: make it, or correct its name.")
    console.print(f"Waiting for files in {escape(str(folder))}; Ctrl-C stops.", soft_wrap=True)
    while True:
        try:
            for outcome in inbox.land_all(folder, partial(inbox.land_file, settings, by=by)):
                if outcome.report:
                    show_reports([(outcome.name, outcome.report)])
                    look_for_alerts(settings)
                if outcome.problem:
                    complain(ParleyError(f"{outcome.name}: {outcome.problem}"))
        except ParleyError as error:  # a database that is down, as a rule: the files wait
            if not may_pass(error):
                raise
            complain(error)
        time.sleep(WATCH_SECONDS)


def look_for_alerts(settings: "Settings") -> None:
    """See to the rules over single events of what has landed."""
    from parley.alerts import happenings

    happenings.watch(settings, lambda problem: complain(ParleyError(problem)))


def whoami() -> str | None:
    """The name of the operating system's user, None where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def show_reports(reports: Sequence[tuple[str, "Report"]]) -> None:
    """Print what came of loads, by the names of their sources: counts, reasons, fields not read, unknown tenants."""
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
    for name, report in reports:
        if not report.counts.received and not report.empty:
            console.print(f"{escape(name)} holds no events.", soft_wrap=True)
    _show_unread(reports)
    unlisted = sorted({tenant for _, report in reports for tenant in report.unlisted_tenants})
    if unlisted:
        more = f" and {len(unlisted) - TENANTS_SHOWN:,} more" if len(unlisted) > TENANTS_SHOWN else ""
        names = escape(", ".join(unlisted[:TENANTS_SHOWN]))
        console.print(f"Tenants not in seeds/tenants.csv, for which the defaults hold: {names}{more}.", soft_wrap=True)


def _show_unread(reports: Sequence[tuple[str, "Report"]]) -> None:
    """Name what is in the sources and in no event."""
    fields: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    for _, report in reports:
        fields.update(report.unread)
        empty.update(report.empty)
    for what, counted in (("Fields that were not read", fields), ("Documents without an event", empty)):
        if counted:
            listed = ", ".join(f"{name} ({number:,})" for name, number in counted.most_common(FIELDS_SHOWN))
            more = f" and {len(counted) - FIELDS_SHOWN:,} more" if len(counted) > FIELDS_SHOWN else ""
            console.print(f"{what}: {escape(listed)}{more}.", soft_wrap=True)


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
    console.print("When they or the tracking plan are fixed: [bold]parley replay-rejected[/]")


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
