"""`parley build`: bring every table up to date, and check it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape

from parley.cli import console, errors, instant, typer

if TYPE_CHECKING:
    from parley.build.builds import BuildRequest, Outcome, Problem
    from parley.build.rebuilds import Rebuild
    from parley.build.results import OnProgress

MOST_PROBLEMS = 10
COLOURS = {"warn": "yellow", "fail": "red", "error": "red"}


def build(
    from_date: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="Build the days from this one again."),
    ] = None,
    to_date: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Build the days up to this one again."),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Of these days, build only this tenant's; without them, everything of it.")
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(help="Only these tables, in dbt's way of naming them. May be repeated.")
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild every table, not only what changed.")
    ] = False,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help='The "now" of the build, such as 2026-01-31T18:00:00Z.')
    ] = None,
    threads: Annotated[int | None, typer.Option(help="How many tables at once.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="If another build is at work, wait for it.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and build whenever something has landed, until Ctrl-C or SIGTERM.")
    ] = False,
) -> None:
    """Build the tables: take in whatever landed since the last build, and run every check.

    Days are dates of each tenant's own calendar. The status is 1 if a table was not built or a check failed.

    Example: [bold]parley build --from 2026-01-01 --to 2026-01-31 --tenant nordic-bank[/]
    """
    from parley.build import builds as building
    from parley.settings import Settings

    order = building.BuildRequest(
        as_of=instant("--as-of", as_of),
        from_date=from_date and from_date.date(),
        to_date=to_date and to_date.date(),
        tenant=tenant,
        select=tuple(name for given in select or () for name in given.split()),
        full_refresh=full_refresh,
        threads=threads,
    )
    if watch:
        _keep_building(order)
        return
    outcome = _watched(lambda follow: building.build(Settings.load(), order, wait=wait, on_progress=follow))
    _tell(outcome)
    if not outcome.is_good:
        raise typer.Exit(1)


def _keep_building(order: "BuildRequest") -> None:
    """Build until told to stop, and say of each build in a line what came of it."""
    import signal
    from dataclasses import replace
    from threading import Event

    from parley.build import watch
    from parley.build.builds import BuildRequest
    from parley.errors import ParleyError
    from parley.settings import Settings

    if replace(order, threads=None) != BuildRequest():
        raise ParleyError("--watch builds what changed, as of now: leave out what else to build, and --as-of.")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def tell(outcome: "Outcome") -> None:
        wrong = ", ".join(f"{problem.name} {problem.status}" for problem in outcome.problems)
        said = f"{outcome.as_of:%Y-%m-%d %H:%M:%S} UTC, {outcome.seconds:.1f} s: {_changes(outcome.changed)}"
        console.print(f"{said}{f' [yellow]{escape(wrong)}.[/]' if wrong else ''}", soft_wrap=True)

    watch.watch(
        Settings.load(),
        stop,
        threads=order.threads,
        on_built=tell,
        on_trouble=lambda sentence: errors.print(escape(sentence), soft_wrap=True),
    )
    console.print("Stopped.")


def _watched(work: "Callable[[OnProgress], Outcome]") -> "Outcome":
    """Do the work under a progress bar that names the tables being built."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("reading the project", total=None)
        return work(
            lambda progress: bar.update(
                task, total=progress.total, completed=progress.done, description=", ".join(progress.running)
            )
        )


def _tell(outcome: "Outcome") -> None:
    from parley.build.dbt import LOG

    for problem in outcome.problems[:MOST_PROBLEMS]:
        console.print(_line(problem), soft_wrap=True)
    if len(outcome.problems) > MOST_PROBLEMS:
        console.print(f"… and {len(outcome.problems) - MOST_PROBLEMS} more", soft_wrap=True)
    skipped = f", {outcome.skipped} left out because of what failed before them" if outcome.skipped else ""
    console.print(
        f"{outcome.built} tables built, {outcome.passed} checks passed{skipped}, in {outcome.seconds:.0f} s, "
        f"as of {outcome.as_of:%Y-%m-%d %H:%M} UTC.",
        soft_wrap=True,
    )
    console.print(_changes(outcome.changed), soft_wrap=True)
    if not outcome.is_good:
        console.print(
            f"Tables that were not built stand as they were. The SQL and all messages are in {LOG}.",
            soft_wrap=True,
        )


def _changes(changed: "Sequence[Rebuild]") -> str:
    """What became of the rows of the incremental tables, in a sentence."""
    whole = sum(table.is_whole for table in changed)
    parts = [f"{whole} tables rebuilt in full"] if whole else []
    if whole < len(changed):
        added = sum(table.rows_added for table in changed)
        altered = sum(table.rows_changed for table in changed)
        removed = sum(table.rows_removed for table in changed)
        parts.append(
            f"{added:,} rows added, {altered:,} changed and {removed:,} removed in {len(changed) - whole} tables"
        )
    return f"{'; '.join(parts) or 'No row has changed'}."


def _line(problem: "Problem") -> str:
    said = {"warn": "warns", "fail": "failed", "error": "was not built" if problem.kind == "model" else "broke"}
    colour = COLOURS[problem.status]
    return f"[{colour}]{problem.kind} {problem.name} {said[problem.status]}:[/] {escape(problem.reason)}"
