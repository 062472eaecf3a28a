"""Names and passwords of the Postgres roles that read facts and marts, for Parley and for Superset.

Imports nothing but the standard library: Superset runs without Parley's dependencies. Roles belong to the whole server,
so their names carry the database's. Everybody on the server can read the names of roles: of a tenant's, the id is
hashed with a key, and cannot be found by guessing.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable

LONGEST = 63  # bytes; Postgres cuts off the rest
LONGEST_IN_SUPERSET = 64  # characters
SHORT, LONG = "Parley: ", "Parley; "


def of_database(database: str, purpose: str) -> str:
    """A role's name: the database's and what it is for, whatever the length of the former."""
    name = f"{database}_{purpose}"
    if len(name.encode()) <= LONGEST:
        return name
    fingerprint = hashlib.sha256(database.encode()).hexdigest()[:12]
    kept = database.encode()[: LONGEST - len(purpose.encode()) - len(fingerprint) - 2].decode(errors="ignore")
    return f"{kept}_{fingerprint}_{purpose}"


def in_superset(tenant_id: str) -> str:
    """The name of the role in Superset that shows a tenant. No two tenants have the same: the marks differ."""
    name = f"{SHORT}{tenant_id}"
    if len(name) <= LONGEST_IN_SUPERSET:
        return name
    return f"{LONG}{tenant_id[:34]} {hashlib.sha256(tenant_id.encode()).hexdigest()[:20]}"


def is_in_superset(name: str) -> bool:
    """Whether a role of Superset's shows a tenant."""
    return name.startswith((SHORT, LONG))


def dashboards_login(key: str, database: str, shown: Iterable[str]) -> tuple[str, str]:
    """Name and password of the role for who sees exactly these tenants, each as `in_superset` calls it."""
    together = json.dumps(sorted(set(shown)), ensure_ascii=False)
    name = of_database(database, f"t_{derived(key, f'name {together}')[:20]}")
    return name, derived(key, f"password {name}")


def derived(key: str, purpose: str) -> str:
    """A secret of its own for a purpose, from a key."""
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()
