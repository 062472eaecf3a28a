"""For how long tables keep rows: `seeds/retention_terms.csv`, which a user edits."""

from datetime import timedelta
from pathlib import Path

from parley.config import seeds
from parley.config.seeds import Column, optional
from parley.config.tenants import Tenant
from parley.warehouse.names import EVERY_TENANT

SEED = seeds.FOLDER / "retention_terms.csv"
EVENTS, REJECTED, ARCHIVE, BUILDS = TABLES = ("raw.events", "raw.rejected_events", "archive", "ops.builds")

Terms = dict[tuple[str, str], timedelta | None]
"""For how long rows are kept (None: for ever), by table and tenant, `*` standing for those without their own."""

_COLUMNS = {
    "table_name": Column(seeds.one_of(*TABLES)),
    "tenant_id": Column(seeds.text),
    "keep_days": optional(seeds.whole(1)),
}


def read_terms(path: Path) -> Terms:
    """The terms of the seed. Raises ParleyError naming file, row and column, and what to write there."""
    terms: Terms = {}
    for row in seeds.read(path, _COLUMNS, key=("table_name", "tenant_id")):
        table, tenant_id, days = row["table_name"], row["tenant_id"], row["keep_days"]
        if table == BUILDS and tenant_id != EVERY_TENANT:
            row.wrong("tenant_id", f"builds are of all tenants: write {EVERY_TENANT}.")
        terms[table, tenant_id] = timedelta(days=days) if days else None
    return terms


def term_of(terms: Terms, table: str, tenant_id: str) -> timedelta | None:
    """The term of a tenant's rows in a table; None where they are kept for ever."""
    return terms.get((table, tenant_id), terms.get((table, EVERY_TENANT)))


def period_of(tenant: Tenant, terms: Terms) -> timedelta | None:
    """For how long a tenant's events are kept: its own `raw_retention_days`, else the term of `raw.events`."""
    if tenant.raw_retention_days is not None:
        return timedelta(days=tenant.raw_retention_days)
    return term_of(terms, EVENTS, tenant.tenant_id)
