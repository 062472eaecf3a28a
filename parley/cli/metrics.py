"""`parley metrics`: every metric by its name, without knowledge of MetricFlow or SQL."""

import csv
import sys
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from parley.cli import console
from parley.errors import ParleyError
from parley.serving.report import formats

if TYPE_CHECKING:
    from parley.build.metrics import Table

app = typer.Typer(no_args_is_help=True, help="Metrics: what there are, what they mean, and their values.")


@app.command("list")
def list_metrics(
    search: Annotated[str | None, typer.Argument(help="Only those whose name or label has this in it.")] = None,
) -> None:
    """Show the metrics with their units.

    Example: [bold]parley metrics list rate[/]
    """
    from rich.table import Table

    from parley.build.metrics import Catalogue
    from parley.settings import Settings

    wanted = (search or "").lower()
    found = [
        metric
        for metric in Catalogue.load(Settings.load()).metrics.values()
        if wanted in metric.name.lower() or wanted in metric.label.lower()
    ]
    if not found:
        raise ParleyError(f"No metric has {search!r} in its name or label: `parley metrics list` shows all.")
    table = Table("metric", "label", "unit", box=None, header_style="bold", pad_edge=False)
    for metric in found:
        table.add_row(metric.name, escape(metric.label), escape(metric.unit))
    console.print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The metric's name, as `parley metrics list` shows it.")]) -> None:
    """Show what a metric means and what it can be parted by.

    Example: [bold]parley metrics show resolution_rate[/]
    """
    from parley.build.metrics import Catalogue
    from parley.settings import Settings

    catalogue = Catalogue.load(Settings.load())
    metric = catalogue.metric(name)
    console.print(f"[bold]{escape(metric.label)}[/] ({metric.name})", soft_wrap=True)
    console.print(escape(metric.description), soft_wrap=True)
    for heading, text in (
        ("unit", metric.unit),
        ("kind", metric.kind),
        ("owner", metric.owner),
        ("by", ", ".join((*catalogue.grains(name), *catalogue.dimensions(name)))),
    ):
        console.print(f"[bold]{heading:6}[/] {escape(text)}", soft_wrap=True)


@app.command()
def query(
    metrics: Annotated[list[str], typer.Argument(help="Names of metrics.")],
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="hour, day, week, month, quarter, year, tenant, channel …: see `parley metrics show`. Repeatable."
        ),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    from_date: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="From this day on.")
    ] = None,
    to_date: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Up to this day, included.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Condition, such as \"{{ Dimension('conversation__outcome') }} = 'resolved'\".")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_sql: Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Show values of metrics.

    Example: [bold]parley metrics query resolution_rate wau --by week --tenant nordic-bank[/]
    """
    from parley.build.metrics import Catalogue, Query
    from parley.settings import Settings
    from parley.warehouse import database

    settings = Settings.load()
    asked = Query(
        metrics=tuple(metrics),
        by=tuple(by or ()),
        tenant=tenant,
        from_date=from_date and from_date.date(),
        to_date=to_date and to_date.date(),
        where=where,
    )
    catalogue = Catalogue.load(settings)
    if as_sql and "week" not in asked.by:  # which needs no warehouse
        typer.echo(catalogue.sql(asked))
        return
    with database.connect(settings) as connection:
        if as_sql:
            typer.echo(";\n".join(map(catalogue.sql, catalogue.by_week_start(connection, asked))))
            return
        values = catalogue.values(connection, asked)
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(values.columns)
        writer.writerows(values.rows)
    else:
        _print(values)


def _print(values: "Table") -> None:
    from rich.table import Table

    if not values.rows:
        console.print("Nothing is known of that: no rows.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(values.columns):
        is_number = any(isinstance(row[index], (int, float, Decimal)) for row in values.rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in values.rows:
        table.add_row(
            *(
                escape(f"{value:%Y-%m-%d %H:%M}" if column.endswith("__hour") and value else _text(value))
                for column, value in zip(values.columns, row, strict=True)
            )
        )
    console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float | Decimal):
        number = float(value)
        return formats.two_digits(number) if 0 < abs(number) < 0.01 else f"{number:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).removesuffix("+00:00").removesuffix(" 00:00:00")
