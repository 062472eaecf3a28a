"""Retention: events that are past their tenant's term leave `raw.events` for an archive, and their days are frozen.

The unit is a month of UTC. It is due for a tenant when all of it is older than the tenant's retention period, so
that events are kept for the period and up to a month more. How a month goes is in `retirement`, how it comes back in
`restoring`; other tables are `expiry`'s.

What retention leaves of the figures is in docs/decisions/frozen-history.md.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from parley.config import tenants
from parley.config.retention_periods import SEED, Terms, period_of, read_terms
from parley.config.tenants import Tenant
from parley.history import archives, expiry
from parley.history.months import end_of, partition, until_settled
from parley.history.retirement import OnProgress, Part, finish_emptying, retire
from parley.landing import partitions
from parley.settings import Settings
from parley.warehouse import migrate
from parley.warehouse.database import Connection
from parley.warehouse.names import EVERY_TENANT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has done."""

    archived: int
    """Events that left raw.events."""
    archives: tuple[str, ...]
    """Ids of the archives that hold them."""
    dropped: tuple[str, ...]
    """Months whose partition is gone."""
    deleted: dict[str, int]
    """Rows that were past their term in the tables of `parley.config.retention_periods`."""


def plan(connection: Connection, settings: Settings, now: datetime) -> list[Part]:
    """What is due, the earliest month first. Raises ParleyError where a seed is wrong."""
    listed = tenants.read(settings.project / tenants.SEED, connection)
    terms = read_terms(settings.project / SEED)
    parts = []
    default = Tenant(EVERY_TENANT, EVERY_TENANT)
    for month in partitions.attached(connection):
        if any(_is_due(tenant, terms, month, now) for tenant in (default, *listed.values())):
            counts = connection.execute(
                sql.SQL("select tenant_id, count(*) from {} group by 1 order by 1").format(partition(month))
            ).fetchall()
            rows = {str(tenant_id): int(str(count)) for tenant_id, count in counts}
            taken = {
                name: count
                for name, count in rows.items()
                if _is_due(listed.get(name) or Tenant(name, name), terms, month, now)
            }
            if taken:
                parts.append(Part(month, taken, sum(rows.values()) - sum(taken.values())))
    return parts


def plan_elsewhere(connection: Connection, settings: Settings, now: datetime) -> dict[str, int]:
    """Rows past their retention period in the tables of that seed. Raises ParleyError where the seed is wrong."""
    return expiry.past_their_term(connection, settings, read_terms(settings.project / SEED), now)


def run(
    settings: Settings, now: datetime, *, actor: str | None = None, on_progress: OnProgress = lambda message: None
) -> Outcome:
    """Archive what is due and take it out. Waits for a build that is at work.

    Raises ParleyError where tables have not taken in what is due, the disk is full, or somebody else is at work on the
    archives; what was done until then stays done, and the next run goes on.
    """
    terms = read_terms(settings.project / SEED)
    with migrate.connect(settings, autocommit=True) as connection, archives.only_one(connection):
        archives.tidy(settings.home)
        before = partitions.attached(connection)
        finish_emptying(connection, on_progress)  # what a run that was killed had begun
        done = []
        for part in plan(connection, settings, now):
            done.append(retire(connection, settings, part, actor, on_progress))
            finish_emptying(connection, on_progress)
        dropped = set(before) - set(partitions.attached(connection))
        deleted = expiry.delete(connection, settings, terms, now, actor, on_progress)
    return Outcome(
        archived=sum(archive.manifest.rows for archive in done),
        archives=tuple(archive.archive_id for archive in done),
        dropped=tuple(sorted(dropped)),
        deleted=deleted,
    )


def _is_due(tenant: Tenant, terms: Terms, month: str, now: datetime) -> bool:
    """Whether all of a month is past a tenant's term, and so old that the outcomes of its conversations are known."""
    period = period_of(tenant, terms)
    return period is not None and end_of(month) + max(period, until_settled(tenant)) <= now
