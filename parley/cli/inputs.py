"""`parley inputs`: the results of the input gate, and letting a blocked day through."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from parley.quality_gate.validation import DayResult
    from parley.warehouse.database import Connection

COLOURS = {"passed": "green", "warned": "yellow", "blocked": "red"}
From = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="From this day (UTC) on.")
]
To = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Up to this day (UTC).")
]

app = typer.Typer(no_args_is_help=True, help="The input gate: whether what each tenant sent of a day is fit to build.")


@app.command()
def validate(from_date: From = None, to_date: To = None) -> None:
    """Validate the days that got new events since they were last validated, or the days of a range again.

    The status is 1 if one of them is blocked and not released. Builds do this too before they begin, and leave out
    what is blocked.

    Example: [bold]parley inputs validate --from 2026-11-01 --to 2026-11-15[/]
    """
    from parley.config import tracking_plan
    from parley.quality_gate import validation
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    with migrate.connect(settings, autocommit=True) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        if from_date or to_date:
            validated = validation.validate_days(connection, settings, *_range(from_date, to_date))
        else:
            _, validated = validation.validate_new(connection, settings)
        _tell(connection, [result for result in validated if result.result != "passed"])
    console.print(f"Validated {_said(validated)}." if validated else "No day has anything new to validate.")
    if any(result.is_in_force for result in validated):
        raise typer.Exit(1)


@app.command("list")
def list_days(
    from_date: From = None,
    to_date: To = None,
    everything: Annotated[bool, typer.Option("--all", help="The days that passed, too.")] = False,
) -> None:
    """Show the days that are blocked or warned of, what is wrong with them, and who let which through.

    Example: [bold]parley inputs list --from 2026-11-01[/]
    """
    from parley.quality_gate import data_docs, validation
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    with migrate.connect(settings) as connection:
        found = validation.find(connection, *_range(from_date, to_date))
        _tell(connection, [result for result in found if everything or result.result != "passed"])
    console.print(f"{_said(found)}." if found else "No day has been validated yet: run `parley build`.")
    if found:
        console.print(f"Data Docs: {settings.home / data_docs.FOLDER / 'index.html'}", soft_wrap=True)


@app.command()
def release(
    day: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], metavar="DAY", help="The day (UTC).")],
    reason: Annotated[str, typer.Option(help="Why it may be built as it is.")],
    tenant: Annotated[str | None, typer.Option(help="Of this tenant; else of all that are blocked on the day.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says so.", show_default="you")] = None,
) -> None:
    """Let a blocked day through, from the next build on, until it fails in yet another way.

    It is noted who did so, and why.

    Example: [bold]parley inputs release 2026-11-20 --tenant my-shop --reason "Half of it is tests"[/]
    """
    from parley.cli.load import whoami
    from parley.quality_gate import validation
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    check_tenant(settings, tenant)
    with migrate.connect(settings) as connection:
        validation.release(connection, day.date(), reason=reason, by=by or whoami(), tenant=tenant)
    console.print(f"{day:%Y-%m-%d} is released: `parley build` takes it in.")


def _range(from_date: datetime | None, to_date: datetime | None) -> tuple[date | None, date | None]:
    from parley.errors import ParleyError

    if from_date and to_date and from_date > to_date:
        raise ParleyError(f"--from {from_date:%Y-%m-%d} is after --to {to_date:%Y-%m-%d}: give the earlier day first.")
    return from_date and from_date.date(), to_date and to_date.date()


def _said(results: "Sequence[DayResult]") -> str:
    """How many days these are, and how many of their tenants passed."""
    of_tenants: list[str] = [each.result for each in results if each.tenant_id != EVERY_TENANT or each.blocking]
    words = ", ".join(f"{of_tenants.count(word)} {word}" for word in COLOURS)
    return f"{len({result.day for result in results})} days; by tenant: {words}"


def _tell(connection: "Connection", found: "Sequence[DayResult]") -> None:
    """The days, each with what is out of bounds on it."""
    from parley.quality_gate import validation

    findings = validation.findings(connection, [result.day for result in found])
    for result in found:
        released = (
            f", released by {escape(result.released_by or 'somebody')}: {escape(result.release_reason or '')}"
            if result.released_at
            else ""
        )
        console.print(
            f"{result.day}{f' {escape(result.tenant_id)}' if result.tenant_id != EVERY_TENANT else ''}"
            f" [{COLOURS[result.result]}]{result.result}[/]"
            f" ({result.events:,} events, {result.received:,} lines received){released}",
            soft_wrap=True,
        )
        for finding in findings:
            if (finding.day, finding.tenant_id) == (result.day, result.tenant_id):
                console.print(f"  {finding.severity:5} {escape(str(finding))}", soft_wrap=True)
