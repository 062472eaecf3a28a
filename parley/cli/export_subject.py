"""`parley export-subject`: what is held about a person."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.cli.load import whoami


def export_subject(
    tenant: Annotated[str, typer.Option(help="The tenant whose customer it is.")],
    user: Annotated[str, typer.Option(help="The person's user_id, as its producers write it.")],
    out: Annotated[Path, typer.Option(help="A new folder for the files.")],
    by: Annotated[str | None, typer.Option(help="Who is noted in the audit log.", show_default="you")] = None,
) -> None:
    """Write everything that is held about a person to a folder: rows as JSON, with a manifest and a page to read.

    Example: [bold]parley export-subject --tenant salon-paris --user u-0f8fb75c9e402a72 --out for-her[/]
    """
    from parley.people import subject_access
    from parley.settings import Settings

    settings = Settings.load()
    check_tenant(settings, tenant)
    with console.status("Collecting …"):
        files = subject_access.export(settings, tenant, user, out, by or whoami())
    if not files:
        console.print("Nothing is held about such a person.")
        return
    rows = sum(file.rows for file in files.values())
    console.print(
        f"{rows:,} rows of {len(files)} tables are in {escape(str(out))}: hand them over safely, then delete them.",
        soft_wrap=True,
    )
