"""`parley unload`: take a load back."""

from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.cli.load import By, whoami


def unload(
    load_id: Annotated[int, typer.Argument(metavar="LOAD", help="The load's id, as raw.loads has it.")],
    by: By = None,
) -> None:
    """Take a load back, whole: events, rejected lines and counts. The next build takes it out of the tables.

    Example: [bold]parley unload 17[/]
    """
    from parley.people import unload as unloading
    from parley.settings import Settings

    found = unloading.unload(Settings.load(), load_id, by=by or whoami())
    console.print(
        f"Load {load_id} ({escape(found.source)}) is taken back: {found.events:,} events and "
        f"{found.rejected:,} rejected lines. Run `parley build` to take it out of the tables.",
        soft_wrap=True,
    )
    if found.later:
        console.print(
            f"Later loads ({', '.join(map(str, found.later))}) had duplicates. Where they sent the same events, "
            "load their files again.",
            soft_wrap=True,
        )
