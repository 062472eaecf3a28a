"""`parley events`: the event types of the tracking plan, and whether events of a file keep to it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.cli.load import Format

PROBLEMS_SHOWN = 10

app = typer.Typer(no_args_is_help=True, help="Event types: what may land, and whether a file's events would.")

Tenant = Annotated[str | None, typer.Option(help="The tenant that it is about.")]


@app.command("list")
def list_types(tenant: Tenant = None) -> None:
    """Show the event types that may land, for one tenant or for all.

    Example: [bold]parley events list --tenant nordic-bank[/]
    """
    from rich.table import Table

    from parley.config import tracking_plan
    from parley.settings import Settings
    from parley.warehouse import migrate
    from parley.warehouse.names import EVERY_TENANT

    settings = Settings.load()
    check_tenant(settings, tenant)
    with migrate.connect(settings) as connection:
        types = tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER).types
    if tenant is not None:
        types = tuple(sorted(tracking_plan.seen_by(tenant, types), key=lambda kind: kind.event_name))
    table = Table("event type", "aliases", "required attributes", "version", "for", box=None, header_style="bold")
    table.columns[0].no_wrap = True
    for kind in types:
        table.add_row(
            kind.event_name if kind.is_active else f"{kind.event_name} (inactive)",
            ", ".join(kind.aliases),
            ", ".join(kind.attributes_schema.get("required", ())),
            str(kind.version),
            "all tenants" if kind.tenant_id == EVERY_TENANT else kind.tenant_id,
        )
    console.print(table)


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="YAML in the form of the files in tracking_plan/.")],
    tenant: Tenant = None,
) -> None:
    """Add event types of your own, or replace them: for one tenant, or for all. They hold from the next load on.

    Example: [bold]parley events register loyalty.yml --tenant shop-newyork[/]
    """
    from parley.config import tenants, tracking_plan
    from parley.settings import Settings
    from parley.warehouse import migrate
    from parley.warehouse.names import EVERY_TENANT

    if tenant is not None:
        tenants.check_id(tenant)
    settings = Settings.load()
    types = tracking_plan.read_types(file, tenant or EVERY_TENANT, "custom")
    with migrate.connect(settings) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        tracking_plan.register_custom(connection, types)
    console.print(f"Registered for {tenant or 'all tenants'}: {', '.join(kind.event_name for kind in types)}.")


@app.command()
def validate(
    file: Annotated[str, typer.Argument(help="JSON, CSV or Parquet, also gzipped; - for standard input.")],
    source_format: Format = None,
    dialect: Annotated[str | None, typer.Option(hidden=True)] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of events that name none.")] = None,
) -> None:
    """Say what would become of a file's events, and land none of them. Ends with status 1 if any would be rejected.

    Example: [bold]parley events validate events.ndjson --tenant salon-paris[/]
    """
    from rich.table import Table

    from parley.landing import recognition, sources
    from parley.landing.results import Accepted, Dropped
    from parley.landing.rules import Rules, arguments
    from parley.landing.validation import validate_lines
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    sources.check(file)
    with migrate.connect(settings) as connection:
        named = source_format or dialect or recognition.recognise(settings, file)
        contract = arguments(connection, settings, named, tenant)
    rules = Rules(**contract)
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    problems = Table("line", "event type", "rejected for", "", box=None, header_style="bold", pad_edge=False)
    with sources.open_source(file, sources.Columns.of(contract["source_format"], contract["plan"].types)) as source:
        for chunk in source:
            for line, result in validate_lines(rules, chunk)[0]:
                if isinstance(result, Accepted):
                    outcomes["would be accepted"] += 1
                elif isinstance(result, Dropped):
                    outcomes[result.outcome.replace("_", " ")] += 1
                else:
                    outcomes["would be rejected"] += 1
                    reasons[result.reason] += 1
                    if problems.row_count < PROBLEMS_SHOWN:
                        problems.add_row(
                            str(line), escape(result.event_name or ""), result.reason, escape(result.message)
                        )
    for counted in (outcomes, reasons):
        if counted:
            console.print(", ".join(f"{name}: {number:,}" for name, number in counted.most_common()))
    if not outcomes:
        console.print("There are no events in it.")
    if reasons:
        console.print()
        console.print(problems)
        raise typer.Exit(1)


@app.command()
def codegen(
    language: Annotated[str, typer.Option(help="python or typescript.")],
    tenant: Annotated[str | None, typer.Option(help="With this tenant's own types, from the database.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write; left out: standard output.")] = None,
) -> None:
    """Write typed functions of the tracking plan, over Segment's libraries.

    Example: [bold]parley events codegen --language typescript --output src/events.ts[/]
    """
    from parley.config import tracking_plan
    from parley.errors import ParleyError
    from parley.serving import codegen
    from parley.settings import Settings
    from parley.warehouse import migrate
    from parley.warehouse.names import EVERY_TENANT

    if language not in codegen.LANGUAGES:
        raise ParleyError(f"--language {language!r} is not known: give {' or '.join(sorted(codegen.LANGUAGES))}.")
    settings = Settings.load()
    check_tenant(settings, tenant)
    folder = settings.project / tracking_plan.FOLDER
    if tenant is None:
        types = tracking_plan.load(folder).types
    else:
        with migrate.connect(settings) as connection:
            types = tracking_plan.sync(connection, folder).types
    text = codegen.generate(language, tracking_plan.seen_by(tenant or EVERY_TENANT, types))
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, "utf-8")
        console.print(f"Written: {output}")
