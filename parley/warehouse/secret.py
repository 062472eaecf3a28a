"""What is derived from the installation's secret, and whether the secret at hand is the warehouse's own.

Hashes by another secret know nobody again: an erased person would land as a new one, and a user whose id is hashed
would be two. So the warehouse remembers what its secret comes to, and nothing that hashes begins with another.
"""

import hashlib
import hmac

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse.database import Connection


def derived(settings: Settings, purpose: str) -> str:
    """A secret of its own for a purpose, from the installation's."""
    return hmac.new(settings.secret, purpose.encode(), hashlib.sha256).hexdigest()


def check(connection: Connection, settings: Settings) -> None:
    """Raises ParleyError where people in this warehouse were hashed with another secret. The first is remembered."""
    if not is_the_warehouses(connection, settings):
        raise ParleyError(
            "The installation's secret is not the one that this warehouse knows its people by: put that one back, in "
            "PARLEY_HOME/secret or PARLEY_SECRET. docs/security.md says what to do where it is lost."
        )


def is_the_warehouses(connection: Connection, settings: Settings) -> bool:
    """Whether the secret at hand is the one that the warehouse remembers; the first is remembered."""
    fingerprint = derived(settings, "warehouse")
    query = "select fingerprint from ops.secret"
    known = connection.execute(query).fetchone()
    if known is None:
        connection.execute("insert into ops.secret (fingerprint) values (%s) on conflict do nothing", [fingerprint])
        known = connection.execute(query).fetchone()
    return known == (fingerprint,)
