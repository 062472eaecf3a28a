"""`parley formats`: the source formats that there are, what they say, and what they make of a file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.cli.load import Format
from parley.errors import ParleyError

app = typer.Typer(no_args_is_help=True, help="Source formats: what other systems export, read as events.")


@app.command("list")
def list_formats() -> None:
    """Show the source formats of this project.

    Example: [bold]parley formats list[/]
    """
    from rich.table import Table

    from parley.config import tracking_plan
    from parley.landing import formats
    from parley.settings import Settings

    table = Table("format", "what it reads", box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    for each in formats.load(Settings.load().project / tracking_plan.FOLDER).values():
        table.add_row(each.name, escape(each.description))
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A name of `parley formats list`, or a .jq file.")]) -> None:
    """Show a source format: its header, with a sample and the events that it becomes, and its filter.

    Example: [bold]parley formats show segment[/]
    """
    from parley.config import tracking_plan
    from parley.landing import formats
    from parley.settings import Settings

    folder = Settings.load().project / tracking_plan.FOLDER
    formats.find(folder, name)
    path = Path(name) if name.endswith(formats.SUFFIX) else formats.folder(folder) / f"{name}{formats.SUFFIX}"
    typer.echo(path.read_text(encoding="utf-8"), nl=False)


@app.command("try")
def try_format(
    file: Annotated[str, typer.Argument(help="JSON, CSV or Parquet, also gzipped; - for standard input.")],
    source_format: Format = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of events that name none.")] = None,
    documents: Annotated[int, typer.Option(min=1, max=1000, help="How many documents to show.")] = 3,
) -> None:
    """Show what the first documents of a file become, and why not. Lands nothing.

    Ends with status 1 if a document cannot be read or an event would be rejected.

    Example: [bold]parley formats try export.json --format mine.jq --tenant salon-paris[/]
    """
    from datetime import UTC, datetime

    import orjson

    from parley.landing import formats, recognition, sources
    from parley.landing.envelope import has_digits_in
    from parley.landing.results import Rejected
    from parley.landing.rules import Rules, arguments
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    named = source_format or recognition.recognise(settings, file)
    with migrate.connect(settings) as connection:
        contract = arguments(connection, settings, named, tenant)
    rules = Rules(**contract)
    found = sources.sample(file, sources.Columns.of(contract["source_format"], contract["plan"].types), documents)
    if not found:
        raise ParleyError(f"{file} holds no JSON documents and no table: give another file.")
    console.print(f"Read as {contract['source_format'].name}.")
    is_right = True
    for number, document in enumerate(found, 1):
        typer.echo(f"\ndocument {number}")
        events = rules.mapper.events(document, number=number) if rules.mapper else [document]
        if isinstance(events, formats.Failure):
            is_right = False
            typer.echo(f"  The document {events.message}." + (f" jq says: {events.details}" if events.details else ""))
            continue
        if not events:
            typer.echo("  becomes no event")
        for event in events:
            typer.echo(f"  {orjson.dumps(event).decode()}")
            result = rules.validate(event, datetime.now(UTC), has_digits=has_digits_in(event))
            if isinstance(result, Rejected):
                is_right = False
                typer.echo(f"  would be rejected ({result.reason}): {result.message}")
        if rules.mapper and (unread := sorted(set(rules.mapper.unread(document, events)))):
            typer.echo(f"  not read: {', '.join(unread)}")
    if not is_right:
        raise typer.Exit(1)
