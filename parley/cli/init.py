"""`parley init`: a project of the user's own, from what the installed package brings along."""

from pathlib import Path
from typing import Annotated

from parley.cli import console, typer


def init(
    folder: Annotated[Path, typer.Argument(help="The new project's folder; it may exist if it is empty.")],
) -> None:
    """Make a project: models, seeds, tracking plan and dashboards, to be edited and kept in version control.

    Example: [bold]parley init my-analytics && cd my-analytics && parley load events.ndjson && parley build[/]
    """
    from rich.markup import escape

    from parley.config import project

    project.create(folder)
    console.print(
        f"Made {escape(str(folder))}. Next: [bold]cd {escape(str(folder))}[/], "
        "then [bold]parley load FILE[/], [bold]parley build[/] and [bold]parley summary[/].",
        soft_wrap=True,
    )
