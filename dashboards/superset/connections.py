"""As whom Superset asks the warehouse: as the one who is signed in.

The stored connection is that of a role which sees no row. For every query it becomes the Postgres login of the tenants
whose roles the user has in Superset, or the reader's where he sees all tenants: which rows come back is for Postgres to
say, whatever SQL a chart, a filter or SQL Lab makes. Runs inside Superset, on the environment that `serve.py` sets.
"""

import os
from typing import Any

from parley.warehouse import role_names

EVERYTHING = "Parley (all tenants)"
SEE_EVERYTHING = ("Admin", EVERYTHING)


def sees_everybody() -> bool:
    """Whether who asks sees all tenants; inside a request that Superset has let through."""
    from superset import security_manager

    return not {role.name for role in security_manager.get_user_roles()}.isdisjoint(SEE_EVERYTHING)


def as_who_asks(
    url: Any, parameters: dict[str, Any], username: str | None, security_manager: Any, source: Any
) -> tuple[Any, dict[str, Any]]:
    """Superset's DB_CONNECTION_MUTATOR. Whoever has no role of Parley's, or nobody, keeps the role without rows."""
    if not username or url.username != os.environ["PARLEY_BI_NOBODY"]:
        return url, parameters  # of a database that people have added
    user = security_manager.find_user(username=username)
    names = {role.name for role in security_manager.get_user_roles(user)} if user else set()
    if names.intersection(SEE_EVERYTHING):
        return url.set(
            username=os.environ["PARLEY_BI_READER"], password=os.environ["PARLEY_BI_READER_PASSWORD"]
        ), parameters
    if tenants := [name for name in names if role_names.is_in_superset(name)]:
        login, password = role_names.dashboards_login(os.environ["PARLEY_BI_TENANTS_KEY"], url.database, tenants)
        return url.set(username=login, password=password), parameters
    return url, parameters
