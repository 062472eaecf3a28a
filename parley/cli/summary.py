"""`parley summary`: what there is, on one screen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from rich.markup import escape

from parley.cli import check_tenant, console, typer
from parley.serving.report import formats
from parley.warehouse.names import EVERY_TENANT

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from parley.analytics.anomalies import Anomaly
    from parley.serving.summary import (
        Accounting,
        Build,
        Day,
        Firing,
        FunnelStep,
        Gap,
        RejectedLines,
        Revenue,
        Summary,
        Tenant,
    )

WIDTH = 100
MOST_ALERTS = 4
MOST_ANOMALIES = 3
BARS = "▁▂▃▄▅▆▇█"
NEXT = (
    ("make bi", "dashboards"),
    ("make ui", "Dagster: schedules, partitions, lineage"),
    ("make docs", "every table and column, and what it is made of"),
    ('eval "$(parley env)" && psql', "the tables themselves"),
)


def summary(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same figures for a program.")] = False,
) -> None:
    """Show on one screen what landed, what was rejected and why, the main figures, and whether the checks passed.

    Example: [bold]parley summary --tenant nordic-bank[/]
    """
    from dataclasses import asdict

    from parley.serving.summary import summarise
    from parley.settings import Settings

    settings = Settings.load()
    check_tenant(settings, tenant)
    found = summarise(settings, tenant)
    if as_json:
        import orjson

        typer.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2).decode())
    else:
        for part in _screen(found):
            console.print(part, width=min(console.width, WIDTH))


def _screen(found: "Summary") -> "Iterable[RenderableType]":
    if not found.landed.received:
        yield _title(found)
        yield "Nothing has landed yet: [bold]parley load FILE[/], or [bold]make run[/] for a demo."
        return
    yield _title(found)
    yield _side_by_side(_landed(found), _figures(found))
    if found.rejected:
        yield _rejected(found.rejected)
    if found.tenants:
        yield _tenants(found.tenants)
    if found.funnel or found.gaps:
        yield _side_by_side(*_funnel(found.funnel), *_gaps(found.gaps))
    yield from _checks(found.accounting, found.build)
    if found.alerts:
        yield _firing(found.alerts)
    if found.anomalies:
        yield _unusual(found.anomalies)
    if found.kept_days:
        yield _kept(found.kept_days)
    yield _next()


def _title(found: "Summary") -> "RenderableType":
    from rich.rule import Rule

    whose = escape(found.tenant) if found.tenant else "all tenants"
    when = f", as of {found.build.as_of:%Y-%m-%d %H:%M} UTC" if found.build else ""
    return Rule(f"[bold]Parley[/]: {whose}{when}", align="left", style="dim")


def _landed(found: "Summary") -> "RenderableType":
    landed, first = found.landed, found.landed_first
    counts = {
        "accepted": (landed.accepted, first.accepted),
        "duplicate": (landed.duplicate, first.duplicate),
        "rejected": (landed.rejected, first.rejected),
        "without consent": (landed.no_consent, first.no_consent),
        "erased subjects": (landed.erased_subject, first.erased_subject),
    }
    lines = [("received", f"{landed.received:,}", "")]
    lines += [
        (name, f"{count:,}", formats.share(once / first.received if first.received else None))
        for name, (count, once) in counts.items()
    ]
    if again := landed.received - first.received:
        lines.append(("of files sent again", f"{again:,}", ""))
    return _panel("Landed", _grid(lines, right=(1, 2)))


def _figures(found: "Summary") -> "RenderableType":
    rows: list[tuple[str, str]] = []
    if conversations := found.conversations:
        rows += [
            ("conversations", f"{conversations.total:,}, {conversations.open:,} still open"),
            (
                "outcomes",
                f"{formats.share(conversations.resolution_rate)} resolved, "
                f"{formats.share(conversations.escalation_rate)} escalated, "
                f"{formats.share(conversations.abandonment_rate)} abandoned",
            ),
            ("unanswered", f"{conversations.unanswered_turns:,} questions"),
        ]
    if times := found.response_times:
        percentiles = (("p50", times.p50_ms), ("p95", times.p95_ms), ("p99", times.p99_ms))
        said = "  ".join(f"{name} {formats.duration(milliseconds)}" for name, milliseconds in percentiles)
        rows.append(("response time ±1 %", said))
    if found.active_users:
        rows.append(("daily active users", _active_users(found.active_users)))
    if sessions := found.sessions:
        rows.append(("sessions", f"{sessions.total:,}, {formats.share(sessions.conversion_rate)} converted"))
    if found.revenue:
        rows.append(("revenue", _revenue(found.revenue)))
    if not rows:
        rows.append(("tables", "none yet: [bold]parley build[/]"))
    return _panel("Conversations and customers", _grid(rows))


def _active_users(days: "Sequence[Day]") -> str:
    most = max(day.dau for day in days) or 1
    bars = "".join(BARS[day.dau * (len(BARS) - 1) // most] for day in days)
    return f"{bars}  max {most:,}"


def _revenue(revenue: "Sequence[Revenue]") -> str:
    said = ((formats.money(found.amount, found.currency), found.orders) for found in revenue[:3])
    return ", ".join(f"{escape(amount)} of {orders:,} orders" for amount, orders in said)


def _rejected(rejected: "Sequence[RejectedLines]") -> "RenderableType":
    table = _table("", "lines", "for example")
    for each in rejected:
        table.add_row(escape(each.reason), f"{each.lines:,}", escape(each.example))
    return _panel("Rejected, in raw.rejected_events (fixed? parley replay-rejected)", table)


def _tenants(tenants: "Sequence[Tenant]") -> "RenderableType":
    table = _table("", "events", "conversations", "resolved", "customers", "rejected", "last event")
    for tenant in tenants:
        table.add_row(
            escape(tenant.tenant_id),
            f"{tenant.events:,}",
            f"{tenant.conversations:,}",
            formats.share(tenant.resolution_rate),
            f"{tenant.customers:,}",
            formats.share(tenant.rejected_share),
            f"{tenant.last_event_at:%Y-%m-%d}" if tenant.last_event_at else "",
        )
    return _panel("Tenants", table)


def _funnel(steps: "Sequence[FunnelStep]") -> "Iterable[RenderableType]":
    if not steps:
        return
    rows = [(escape(step.step_name), f"{step.reached:,}", formats.share(step.conversion_from_start)) for step in steps]
    yield _panel(f"Funnel: {escape(steps[0].funnel_name)}, {escape(steps[0].tenant_id)}", _grid(rows, right=(1, 2)))


def _gaps(gaps: "Sequence[Gap]") -> "Iterable[RenderableType]":
    if not gaps:
        return
    rows = [(escape(gap.topic), f"{gap.frequency:,} times", f"{gap.customers:,} customers") for gap in gaps]
    yield _panel("Content gaps", _grid(rows, right=(1, 2)))


def _checks(accounting: "Accounting | None", build: "Build | None") -> "Iterable[RenderableType]":
    if build:
        wrong = build.failed + build.errors
        colour = "red" if wrong else "green"
        said = [f"[{colour}]{build.passed:,} checks passed, {wrong:,} failed[/]"]
        if build.warned:
            said.append(f"[yellow]{build.warned:,} warn[/]")
        if accounting:
            colour = "red" if accounting.unaccounted else "green"
            said.append(f"[{colour}]{accounting.unaccounted:,} accepted events unaccounted for[/]")
            said.append(f"{formats.share(accounting.late_share)} landed on a later day than they happened")
        yield "; ".join(said) + "."
        for problem in build.problems[:3]:
            yield f"  [red]{escape(problem['name'])}[/]: {escape(problem['message'])}"
    if accounting and accounting.left_out:
        yield (
            f"[yellow]{accounting.left_out:,} accepted events are in no table, as the input gate blocks their day: "
            "see parley inputs list.[/]"
        )
    if accounting and accounting.waiting:
        yield f"[yellow]{accounting.waiting:,} events have landed since the last build: run parley build.[/]"


def _firing(alerts: "Sequence[Firing]") -> str:
    named = [
        " ".join(part for part in (alert.rule_id, alert.tenant_id, alert.subject) if part and part != EVERY_TENANT)
        for alert in alerts
    ]
    shown = ", ".join(named[:MOST_ALERTS]) + (", …" if len(named) > MOST_ALERTS else "")
    many = "alert fires" if len(alerts) == 1 else "alerts fire"
    return f"[red]{len(alerts)} {many}: {escape(shown)}[/] · [bold]parley alerts list[/]"


def _unusual(anomalies: "Sequence[Anomaly]") -> str:
    named = [f"{found.tenant_id} {found.event_name} {found.metric} {found.direction}" for found in anomalies]
    shown = ", ".join(named[:MOST_ANOMALIES]) + (", …" if len(named) > MOST_ANOMALIES else "")
    many = "anomaly" if len(anomalies) == 1 else "anomalies"
    return f"[yellow]{len(anomalies)} {many} of the input: {escape(shown)}[/] · [bold]parley anomalies list[/]"


def _kept(days: "Mapping[str, int | None]") -> str:
    """For how long raw events are kept, the commonest period first."""
    from collections import Counter

    said = []
    for period, tenants in Counter(days.values()).most_common():
        whose = f" ({tenants:,} tenants)" if len(days) > 1 else ""
        said.append(("for ever" if period is None else f"for {period:,} days") + whose)
    return f"[dim]Raw events are kept {', '.join(said)}: docs/retention.md.[/]"


def _next() -> "RenderableType":
    return _grid([(f"[bold]{escape(command)}[/]", f"[dim]{what}[/]") for command, what in NEXT])


def _panel(title: str, content: "RenderableType") -> "RenderableType":
    from rich.panel import Panel

    return Panel(content, title=f"[bold]{title}[/]", title_align="left", border_style="dim")


def _side_by_side(*parts: "RenderableType") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table

    if console.width < WIDTH:
        return Group(*parts)
    grid = Table.grid(expand=True)
    for ratio in (2, 3)[: len(parts)]:
        grid.add_column(ratio=ratio)
    grid.add_row(*parts)
    return grid


def _grid(rows: "Sequence[Sequence[str]]", right: Sequence[int] = ()) -> "Table":
    """Rows without a head. The last column alone may wrap."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    last = len(rows[0]) - 1
    for number in range(last + 1):
        grid.add_column(justify="right" if number in right else "left", no_wrap=number < last or number in right)
    for row in rows:
        grid.add_row(*row)
    return grid


def _table(*columns: str) -> "Table":
    """A table of a name, numbers, and perhaps an example that may wrap."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim", padding=(0, 1))
    for number, name in enumerate(columns):
        is_example = name == "for example"
        table.add_column(name, justify="left" if number == 0 or is_example else "right", no_wrap=not is_example)
    return table
