"""Sends each report once to each channel that is to get it: what was sent stands in the audit log.

Who is killed between sending and writing so sends it again the next time, under the same key.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from psycopg.types.json import Jsonb

from parley.alerts import channels
from parley.alerts.channels import Attachment, Message
from parley.config import report_recipients
from parley.errors import ParleyError
from parley.serving.report import contents, page, periods
from parley.serving.report.page import Page
from parley.serving.report.periods import Period
from parley.serving.report.rows import Report
from parley.settings import Settings
from parley.warehouse import audit, database, migrate
from parley.warehouse.database import Connection

ACTION = "report.sent"
MORNING = timedelta(hours=6)
"""How long after the end of a period, on the tenant's clock, its report is due: late events come in meanwhile."""
LOCK = 0x7265706F7274  # "report" in ASCII: senders take turns


@dataclass(frozen=True, slots=True)
class Delivery:
    """A report that was to go to a channel."""

    tenant_id: str
    period: Period
    channel: str
    problem: str | None = None

    @property
    def is_sent(self) -> bool:
        return self.problem is None


def send_due(
    settings: Settings, *, tenant: str | None = None, again: bool = False, actor: str | None = None
) -> list[Delivery]:
    """Send what is due and was not sent, or `again`; of one tenant or of all. What fails stops nothing else.

    Raises ParleyError where the seed or the channels make no sense, nothing is built, or nobody is to get the tenant's.
    """
    migrate.upgrade(settings)
    listed = report_recipients.read(settings.project / report_recipients.SEED)
    known = channels.load(settings)
    deliveries = []
    with database.connect(settings, autocommit=True) as connection, database.taking_turns(connection, LOCK):
        for tenant_id in [tenant] if tenant else contents.built_tenants(connection):
            holding = contents.find_tenant(settings, connection, tenant_id)
            if not tenant and not holding.is_active:
                continue  # a report of nothing
            rows = report_recipients.for_tenant(listed, tenant_id)
            if tenant and not report_recipients.channels(rows):
                raise ParleyError(f"Nobody is to get the report of {tenant!r}: add a row to {report_recipients.SEED}.")
            as_of = contents.local_as_of(connection, holding)
            for row in rows:
                period = periods.last_whole(row.period, (as_of - MORNING).date(), holding.week_start)
                waiting = [
                    channel
                    for channel in row.channels
                    if again or not _was_sent(connection, tenant_id, period, channel)
                ]
                if waiting:
                    report = contents.gather(settings, tenant_id, days=(period.first, period.last))
                    rendered = page.render(settings, report)
                    deliveries += [_deliver(connection, known, report, rendered, name, actor) for name in waiting]
    return deliveries


def file_name(report: Report) -> str:
    """The name of a report's file."""
    tenant = in_files(report.tenant.tenant_id)
    return f"{tenant}-{report.period.first}-{report.period.last}.html"


def in_files(tenant_id: str) -> str:
    """A tenant's id as part of a file's name: of no two tenants the same, on a disk that knows no capitals either."""
    if re.fullmatch(r"[a-z0-9_.-]+", tenant_id) and not re.search(r"-[0-9a-f]{8}$", tenant_id):
        return tenant_id
    plain = re.sub(r"[^\w.-]+", "_", tenant_id)
    return f"{plain}-{hashlib.sha256(tenant_id.encode()).hexdigest()[:8]}"


def _deliver(
    connection: Connection,
    known: Mapping[str, channels.Urls],
    report: Report,
    rendered: Page,
    channel: str,
    actor: str | None,
) -> Delivery:
    tenant_id, period = report.tenant.tenant_id, report.period
    try:
        if channel not in known:
            raise ParleyError(f"the channel {channel} is not set up: `parley alerts channels` says how")
        channels.send(known[channel], _message(report, rendered, channel))
    except ParleyError as error:
        return Delivery(tenant_id, period, channel, str(error))
    audit.record(connection, ACTION, tenant_id=tenant_id, actor=actor, details=_details(period, channel))
    return Delivery(tenant_id, period, channel)


def _message(report: Report, rendered: Page, channel: str) -> Message:
    return Message(
        key=f"report/{report.tenant.tenant_id}/{report.period.first}/{report.period.last}/{channel}",
        title=rendered.title,
        body=f"{rendered.text}\n\nThe whole report is attached.",
        tone="info",
        html=rendered.mail,
        images=tuple(Attachment(page.file_of(chart), "image/png", chart.png) for chart in rendered.charts),
        files=(Attachment(file_name(report), "text/html", rendered.html.encode()),),
    )


def _was_sent(connection: Connection, tenant_id: str, period: Period, channel: str) -> bool:
    found = connection.execute(
        "select exists (select from ops.audit_log where action = %s and tenant_id = %s and details @> %s)",
        [ACTION, tenant_id, Jsonb(_details(period, channel))],
    )
    return found.fetchone() == (True,)


def _details(period: Period, channel: str) -> dict[str, str]:
    return {"first": period.first.isoformat(), "last": period.last.isoformat(), "channel": channel}
