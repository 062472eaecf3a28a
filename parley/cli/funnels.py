"""`parley funnels`: how far customers got, of any range of days."""

import csv
import sys
from dataclasses import astuple, fields
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.serving.report import formats

if TYPE_CHECKING:
    from parley.serving.funnels import Step

app = typer.Typer(no_args_is_help=True, help="Funnels: how far customers got, of any range of days.")
Tenant = Annotated[str, typer.Option(help="Whose.")]
_HEADINGS = ("reached", "of entered", "of previous", "lost", "median", "p90", "on the way")


@app.command("list")
def list_funnels(tenant: Tenant) -> None:
    """Show the funnels that hold for a tenant.

    Example: [bold]parley funnels list --tenant shop-newyork[/]
    """
    from rich.table import Table

    from parley.serving import funnels
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    check_tenant(settings, tenant)
    with migrate.connect(settings) as connection:
        found = funnels.funnels(connection, tenant)
    table = Table("funnel", "name", box=None, header_style="bold", pad_edge=False)
    for funnel_id, name in found.items():
        table.add_row(escape(funnel_id), escape(name))
    console.print(table)


@app.command()
def show(
    funnel: Annotated[str, typer.Argument(help="The funnel's id, as `parley funnels list` shows it.")],
    tenant: Tenant,
    from_date: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="From this day on.")
    ] = None,
    to_date: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Up to this day, included.")
    ] = None,
    breakdown: Annotated[bool, typer.Option(help="The groups of the funnel's breakdown, too.")] = True,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show how many got to each step, of those who entered the funnel in these days. Each counts once.

    Example: [bold]parley funnels show shop_purchase --tenant shop-newyork --from 2026-10-01 --to 2026-10-10[/]
    """
    from parley.serving import funnels
    from parley.settings import Settings
    from parley.warehouse import migrate

    with migrate.connect(Settings.load()) as connection:
        found = funnels.steps(connection, funnel, tenant, from_date and from_date.date(), to_date and to_date.date())
    shown = [step for step in found if breakdown or step.breakdown_kind == "all"]
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(field.name for field in fields(funnels.Step))
        writer.writerows(astuple(step) for step in shown)
        return
    if not shown:
        console.print("Nobody entered it in these days.")
        return
    _print(shown)


def _print(steps: "list[Step]") -> None:
    from rich.table import Table

    table = Table("step", *_HEADINGS, box=None, header_style="bold", pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for step in steps:
        if step.step == 1 and step.breakdown_kind != "all":
            table.add_row()
            table.add_row(f"[bold]{escape(step.breakdown_value or step.breakdown_kind.capitalize())}[/]")
        table.add_row(
            f"{step.step}. {escape(step.step_name)}" + (" (optional)" if step.is_optional else ""),
            f"{step.reached:,}",
            formats.share(step.conversion_from_start),
            formats.share(step.conversion_from_previous) if step.step > 1 else "",
            f"{step.drop_off:,}" if step.drop_off is not None and step.step > 1 else "",
            _duration(step.median_seconds_from_previous),
            _duration(step.p90_seconds_from_previous),
            f"{step.still_in_window:,}",
        )
    console.print(table)


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else formats.duration(1000 * seconds)
