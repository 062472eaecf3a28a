"""`parley anomalies`: what was out of the usual in the input."""

from typing import Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.serving.report import formats

app = typer.Typer(no_args_is_help=True, help="Anomalies of the input: what came in out of the usual.")


@app.command("list")
def list_anomalies(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    days: Annotated[int, typer.Option(help="Of the last so many days that are over.", min=1)] = 7,
) -> None:
    """Show the anomalies, the newest and gravest first. What counts as one: seeds/anomaly_settings.csv.

    Example: [bold]parley anomalies list --tenant nordic-bank --days 30[/]
    """
    from rich.table import Table

    from parley.analytics import anomalies
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    check_tenant(settings, tenant)
    with migrate.connect(settings) as connection:
        found = anomalies.newest(connection, tenant, days)
    if not found:
        console.print(f"Nothing was out of the usual in the last {days} days.")
        return
    table = Table("date", "tenant", "events", "metric", "observed", "expected", "", box=None, header_style="bold")
    for column in table.columns[4:6]:
        column.justify = "right"
    for anomaly in found:
        colour = "red" if anomaly.severity == "critical" else "yellow"
        what = f"\n[dim]{escape(anomaly.details)}[/]" if anomaly.details else ""
        table.add_row(
            f"{anomaly.date}",
            escape(anomaly.tenant_id),
            escape(anomaly.event_name) + what,
            anomaly.metric,
            _figure(anomaly.metric, anomaly.observed),
            _figure(anomaly.metric, anomaly.expected),
            f"[{colour}]{anomaly.severity}, {anomaly.direction}[/]",
        )
    console.print(table)


def _figure(metric: str, value: float) -> str:
    return formats.share(value) if metric.endswith("_share") else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"
