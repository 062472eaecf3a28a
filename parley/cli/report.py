"""`parley report`: the page that people read on Monday morning."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import console
from parley.errors import ParleyError

if TYPE_CHECKING:
    from parley.config.report_recipients import Kind
    from parley.settings import Settings


def report(
    tenant: Annotated[str | None, typer.Option(help="The tenant; with --send, of this one only.")] = None,
    period: Annotated[str, typer.Option(help="The last whole week or month.")] = "week",
    from_date: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="From this day on.")
    ] = None,
    to_date: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Up to this day, included.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where to, - for standard output.", show_default="PARLEY_HOME/…")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send what is due to whom seeds/report_recipients.csv says.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="With --send: what was sent already, too.")] = False,
) -> None:
    """Write a report of a tenant as one HTML file that needs nothing else: for a browser, a mail, or paper.

    Without days it is of the tenant's last whole week, compared with the week before.

    Example: [bold]parley report --tenant nordic-bank --output week.html[/]
    """
    from parley.settings import Settings

    settings = Settings.load()
    days = _days(from_date, to_date)
    if again and not send:
        raise ParleyError("--again is about what was sent: give --send too.")
    if send:
        if days or output:
            raise ParleyError("--send sends what is due: leave --from, --to and --output away.")
        _send(settings, tenant, again)
    elif not tenant:
        raise ParleyError("Say whose report it is: --tenant; `parley summary` shows the tenants.")
    else:
        _write(settings, tenant, _kind(period), days, output)


def _write(settings: "Settings", tenant: str, kind: "Kind", days: tuple[date, date] | None, output: str | None) -> None:
    from parley.history.streams import whole_file
    from parley.serving.report.contents import gather
    from parley.serving.report.page import render
    from parley.serving.report.sending import file_name

    found = gather(settings, tenant, kind, days)
    content = render(settings, found).html.encode()
    if output == "-":
        sys.stdout.buffer.write(content)
        return
    path = Path(output) if output else settings.home / "reports" / file_name(found)
    with whole_file(path) as (file, _):
        file.write(content)
    console.print(
        f"The report of {escape(found.tenant.name)}, {found.period.name}, is in {escape(str(path))}.", soft_wrap=True
    )


def _send(settings: "Settings", tenant: str | None, again: bool) -> None:
    from parley.cli.load import whoami
    from parley.serving.report import sending

    outcome = sending.send_due(settings, tenant=tenant, again=again, actor=whoami())
    for delivery in outcome:
        said = "sent" if delivery.is_sent else f"[red]not sent:[/] {escape(delivery.problem or '')}"
        console.print(
            f"{escape(delivery.tenant_id)}, {delivery.period.name}, to {delivery.channel}: {said}", soft_wrap=True
        )
    if not outcome:
        console.print("No report is due that was not sent.")
    if not all(delivery.is_sent for delivery in outcome):
        raise typer.Exit(1)


def _days(first: datetime | None, last: datetime | None) -> tuple[date, date] | None:
    if first and last:
        return first.date(), last.date()
    if first or last:
        raise ParleyError("Give both --from and --to, or neither for the last whole week.")
    return None


def _kind(given: str) -> "Kind":
    from typing import get_args

    from parley.config.report_recipients import Kind

    for kind in get_args(Kind):
        if given == kind:
            return kind  # type: ignore[no-any-return]
    raise ParleyError(f"There is no period {given!r}: write week or month, or give --from and --to.")
