"""`parley demo`: write a synthetic world to land and look at."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from parley.cli import console, errors
from parley.errors import ParleyError


def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT.ndjson.gz", help="The file to write; plain text without .gz.")],
    size: Annotated[int, typer.Option(help="How many events, rejected and repeated ones included.")] = 20_000,
    days: Annotated[int, typer.Option(help="How many days they span.")] = 90,
    end: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day before which they end, in UTC.", show_default="today"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another world; the same one, the same bytes.")] = 7,
) -> None:
    """Write the events of a synthetic but realistic world of four tenants.

    A bank, a salon, a voice bot and a shop; with events among them that are late, repeated, rejected or not consented.

    Example: [bold]parley demo demo.ndjson.gz --size 1000000 --days 365[/]
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from parley.demo import Demo, write

    today = datetime.now(UTC).date()
    last = end.date() if end else today
    if last > today:
        raise ParleyError(f"--end {last} is in the future, where events are rejected: give today or a day before it.")
    wanted = Demo(end=last, size=size, days=days, seed=seed)
    columns = (TextColumn("Writing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("", total=size)
        write(out, wanted, lambda lines: progress.advance(task, lines))
    console.print(f"{size:,} events up to {last} are in {out}.", soft_wrap=True, markup=False)
