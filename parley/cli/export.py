"""`parley export`: a fact or a mart as a file."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from parley.cli import check_tenant, console
from parley.errors import ParleyError


def export(
    table: Annotated[str, typer.Argument(help="A mart or fact, such as daily_metrics or facts.orders.")],
    format_: Annotated[str, typer.Option("--format", help="csv, json (one object per line) or parquet.")] = "csv",
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    from_date: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="From this date on.")
    ] = None,
    to_date: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Up to this date.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Rows with this value only. May be repeated.")
    ] = None,
    columns: Annotated[str | None, typer.Option(metavar="A,B,…", help="These columns only.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write to.", show_default="PARLEY_HOME/exports")
    ] = None,
) -> None:
    """Write a mart or fact to a file, with a manifest beside it: rows, SHA-256, columns and filters.

    Texts that a spreadsheet would take for formulas get an apostrophe in CSV.

    Example: [bold]parley export daily_metrics --format parquet --tenant nordic-bank --from 2026-01-01[/]
    """
    from parley.cli.load import whoami
    from parley.history import exports
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    migrate.upgrade(settings)
    check_tenant(settings, tenant)
    order = exports.ExportRequest(
        table=table,
        format=exports.format_of(format_),
        tenant=tenant,
        from_date=from_date and from_date.date(),
        to_date=to_date and to_date.date(),
        where=tuple(map(_condition, where or ())),
        columns=tuple(name.strip() for name in (columns or "").split(",") if name.strip()),
    )
    folder = out or settings.home / exports.FOLDER
    manifest = exports.export(settings, order, folder, actor=whoami())
    console.print(f"{manifest.rows:,} rows of {manifest.table} are in {folder / manifest.file}.", soft_wrap=True)


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise ParleyError(f"--where {text!r} has no value: write it as column=value.")
    return column.strip(), value
