"""`parley alerts`: what is wrong, who has it in hand, and where messages go."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.errors import ParleyError
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from parley.alerts.ledger import Alert
    from parley.alerts.states import State

COLOURS = {"FIRING": "bold red", "ACKNOWLEDGED": "yellow", "PENDING": "yellow", "RESOLVED": "green"}

app = typer.Typer(no_args_is_help=True, help="Alerts: what is wrong, who has it in hand, and where messages go.")


@app.command("list")
def list_alerts(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only; * for runs, checks and builds.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only OK, PENDING, FIRING, ACKNOWLEDGED, RESOLVED or NO_DATA.")
    ] = None,
) -> None:
    """Show the alerts, firing ones first; without a state, all but those that are OK or have no data.

    Example: [bold]parley alerts list --state FIRING[/]
    """
    from parley.alerts import ledger, outbox
    from parley.settings import Settings
    from parley.warehouse import migrate
    from parley.warehouse.names import EVERY_TENANT

    settings = Settings.load()
    check_tenant(settings, None if tenant == EVERY_TENANT else tenant)
    with migrate.connect(settings) as connection:
        found = ledger.find(connection, tenant_id=tenant, state=_state(state) if state else None)
        undelivered = outbox.undelivered(connection)
    if not found:
        console.print("No alert fits." if state or tenant else "Nothing is wrong.")
    for alert in found:
        _show(alert)
    for problem in undelivered:
        console.print(f"[yellow]{escape(problem)}[/]", soft_wrap=True)


@app.command("ack")
def acknowledge(
    alert: Annotated[int, typer.Argument(help="The alert's number, as `parley alerts list` shows it.")],
    note: Annotated[str | None, typer.Option(help="What is being done.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says so.", show_default="you")] = None,
) -> None:
    """Say that you have an alert in hand: until it is resolved, nothing more is said of it.

    Example: [bold]parley alerts ack 12 --note "Deploy rolled back"[/]
    """
    from datetime import UTC, datetime

    from parley.alerts import ledger
    from parley.cli.load import whoami
    from parley.settings import Settings
    from parley.warehouse import migrate

    with migrate.connect(Settings.load(), autocommit=True) as connection:
        ledger.acknowledge(connection, alert, at=datetime.now(UTC), by=by or whoami(), note=note)
    console.print(f"Alert {alert} is acknowledged; you are told when it is resolved.")


@app.command("deliver")
def deliver() -> None:
    """Send what waits to be sent, now. The status is 1 if something could not be sent.

    Example: [bold]parley alerts deliver[/]
    """
    from parley.alerts import channels, outbox
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    with migrate.connect(settings, autocommit=True) as connection:
        outcome = outbox.deliver(connection, channels.load(settings), at_once=True)
        undelivered = outbox.undelivered(connection)
    console.print(f"{outcome.sent} messages sent, {outcome.failed} could not be.")
    for problem in undelivered:
        console.print(f"[yellow]{escape(problem)}[/]", soft_wrap=True)
    if outcome.failed:
        raise typer.Exit(1)


@app.command("channels")
def list_channels() -> None:
    """Show the channels that are set up, without their secrets, and those that a seed names and nobody has set up.

    Example: [bold]parley alerts channels[/]
    """
    from parley.alerts import channels, rules
    from parley.config import report_recipients
    from parley.settings import Settings

    settings = Settings.load()
    known = channels.load(settings)
    for name, urls in known.items():
        console.print(f"[bold]{name}[/]  {escape(', '.join(map(channels.masked, urls)))}", soft_wrap=True)
    of_rules = rules.missing_channels(rules.read(settings.project / rules.SEED), known)
    recipients = report_recipients.read(settings.project / report_recipients.SEED)
    of_reports = report_recipients.channels(recipients).difference(known)
    if missing := sorted({*of_rules, *of_reports}):
        console.print(
            f"Not set up, though rules or reports name them: {', '.join(missing)}. Write their URLs in "
            f"{settings.home / channels.FILE} or in {channels.VARIABLE}{missing[0].upper()}.",
            soft_wrap=True,
        )


@app.command("test")
def test(channel: Annotated[str, typer.Argument(help="The channel's name.")]) -> None:
    """Send a message to a channel, to see that it arrives.

    Example: [bold]parley alerts test team[/]
    """
    from uuid import uuid4

    from parley.alerts import channels
    from parley.settings import Settings

    known = channels.load(Settings.load())
    if channel not in known:
        raise ParleyError(
            f"There is no channel {channel!r}: write its URL in {channels.FILE} or in "
            f"{channels.VARIABLE}{channel.upper()}."
        )
    message = channels.Message(f"test/{uuid4()}", "[test] Parley", "This channel works.", "info")
    try:
        channels.send(known[channel], message)
    except ParleyError as error:
        raise ParleyError(f"The channel {channel} does not work: {error}") from None
    console.print(f"A message is on its way to {channel}.")


def _show(alert: "Alert") -> None:
    colour = COLOURS.get(alert.state, "dim")
    whose = "" if alert.tenant_id == EVERY_TENANT else f" {alert.tenant_id}"
    subject = f" {alert.subject}" if alert.subject else ""
    console.print(
        f"[bold]{alert.alert_id}[/]  [{colour}]{alert.state}[/] since {alert.since:%Y-%m-%d %H:%M} UTC  "
        f"{alert.severity}  {escape(alert.rule_id + whose + subject)}",
        soft_wrap=True,
    )
    console.print(f"    {escape(alert.detail)}", soft_wrap=True)
    if alert.acknowledged_at:
        note = f": {alert.note}" if alert.note else ""
        console.print(f"    [dim]{escape((alert.acknowledged_by or 'somebody') + note)}[/]", soft_wrap=True)


def _state(given: str) -> "State":
    from parley.alerts.states import State

    try:
        return State(given.upper())
    except ValueError:
        raise ParleyError(f"There is no state {given!r}: write one of {', '.join(State)}.") from None
