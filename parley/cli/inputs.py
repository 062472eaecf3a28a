"""`parley inputs`: the verdicts of the input gate, and letting a blocked day through."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from parley.quality_gate.validation import Verdict
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
    """Judge the days that got new events since they were last judged, or the days of a range anew.

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
            judged = validation.judge_days(connection, settings, *_range(from_date, to_date))
        else:
            _, judged = validation.judge_new(connection, settings)
        _tell(connection, [verdict for verdict in judged if verdict.verdict != "passed"])
    console.print(f"Judged {_said(judged)}." if judged else "No day has anything new to judge.")
    if any(verdict.is_in_force for verdict in judged):
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
        _tell(connection, [verdict for verdict in found if everything or verdict.verdict != "passed"])
    console.print(f"{_said(found)}." if found else "No day has been judged yet: run `parley build`.")
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

    with migrate.connect(Settings.load()) as connection:
        validation.release(connection, day.date(), reason=reason, by=by or whoami(), tenant=tenant)
    console.print(f"{day:%Y-%m-%d} is released: `parley build` takes it in.")


def _range(from_date: datetime | None, to_date: datetime | None) -> tuple[date | None, date | None]:
    from parley.errors import ParleyError

    if from_date and to_date and from_date > to_date:
        raise ParleyError(f"--from {from_date:%Y-%m-%d} is after --to {to_date:%Y-%m-%d}: give the earlier day first.")
    return from_date and from_date.date(), to_date and to_date.date()


def _said(verdicts: "Sequence[Verdict]") -> str:
    """How many days these are, and how many of their tenants passed."""
    of_tenants: list[str] = [each.verdict for each in verdicts if each.tenant_id != EVERY_TENANT or each.blocking]
    words = ", ".join(f"{of_tenants.count(word)} {word}" for word in COLOURS)
    return f"{len({verdict.day for verdict in verdicts})} days; by tenant: {words}"


def _tell(connection: "Connection", found: "Sequence[Verdict]") -> None:
    """The days, each with what is out of bounds on it."""
    from parley.quality_gate import validation

    findings = validation.findings(connection, [verdict.day for verdict in found])
    for verdict in found:
        released = (
            f", released by {escape(verdict.released_by or 'somebody')}: {escape(verdict.release_reason or '')}"
            if verdict.released_at
            else ""
        )
        console.print(
            f"{verdict.day}{f' {escape(verdict.tenant_id)}' if verdict.tenant_id != EVERY_TENANT else ''}"
            f" [{COLOURS[verdict.verdict]}]{verdict.verdict}[/]"
            f" ({verdict.events:,} events, {verdict.received:,} lines received){released}",
            soft_wrap=True,
        )
        for finding in findings:
            if (finding.day, finding.tenant_id) == (verdict.day, verdict.tenant_id):
                console.print(f"  {finding.severity:5} {escape(str(finding))}", soft_wrap=True)
