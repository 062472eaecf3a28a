"""Who gets which report: `seeds/report_recipients.csv`, which a user edits."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from parley.config import seeds
from parley.config.tenants import id_or_every
from parley.warehouse.names import EVERY_TENANT

Kind = Literal["week", "month"]
"""Which days a report is of."""

SEED = seeds.FOLDER / "report_recipients.csv"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row of the seed."""

    tenant_id: str
    period: Kind
    channels: tuple[str, ...]


def read(path: Path) -> list[Recipient]:
    """The rows of the seed.

    Raises ParleyError naming file, row (the header is row 1) and column, and what to write there.
    """
    return [
        Recipient(row["tenant_id"], row["period"], row["channels"] or ())
        for row in seeds.read(path, _SEED, key=["tenant_id", "period"])
    ]


def for_tenant(recipients: Iterable[Recipient], tenant_id: str) -> list[Recipient]:
    """What holds for a tenant: its own rows, else those of `*`."""
    listed = list(recipients)
    own = [recipient for recipient in listed if recipient.tenant_id == tenant_id]
    return own or [recipient for recipient in listed if recipient.tenant_id == EVERY_TENANT]


def channels(recipients: Iterable[Recipient]) -> set[str]:
    """The channels that are named."""
    return {channel for recipient in recipients for channel in recipient.channels}


_SEED = {
    "tenant_id": seeds.Column(id_or_every),
    "period": seeds.Column(seeds.one_of(*get_args(Kind))),
    "channels": seeds.optional(seeds.names),
}
