"""Who sees which tenant: a role per tenant, by which `connections.py` chooses as whom Postgres is asked.

Somebody sees the tenants of the roles that he has, and no row at all without one; an administrator of Superset sees
all. Runs inside Superset's app context.
"""

import sys
from collections.abc import Iterable
from typing import Any

from superset import db, security_manager
from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable
from superset.models.core import Database

from dashboards.superset import bundle
from dashboards.superset.connections import EVERYTHING
from parley.warehouse.role_names import in_superset

READER = "Parley reader"
FORMERLY_EVERYTHING = "Parley: all tenants"  # which a tenant might be called

# What is saved in Superset others see by its title, with its filters and SQL. So a login of a tenant saves nothing but
# the state of what it looks at, which nobody finds without its address, and its own password.
_CHANGES = ("can_write", "can_add", "can_edit", "can_delete", "can_bulk_create", "can_tag", "can_invalidate")
_OWN_STATE = {
    "CurrentUserRestApi",
    "DashboardFilterStateRestApi",
    "DashboardPermalinkRestApi",
    "ExploreFormDataRestApi",
    "ExplorePermalinkRestApi",
}


def apply(tenant_ids: Iterable[str]) -> None:
    """Make the roles of these tenants, and let their people read every dataset, also those that people made."""
    _adopt_older_ones()
    warehouse = db.session.query(Database).filter_by(uuid=bundle.identity("database", bundle.DATABASE)).one()
    _allow_reading(db.session.query(SqlaTable).filter_by(database_id=warehouse.id).all())
    for name in (EVERYTHING, *map(in_superset, tenant_ids)):
        security_manager.add_role(name)


def login(name: str, password: str, tenant_ids: list[str]) -> None:
    """Make a user who sees these tenants and no other, or make one that there is such a one."""
    roles = [security_manager.find_role(role) for role in (READER, *map(in_superset, tenant_ids))]
    if unknown := [tenant_id for tenant_id, role in zip(tenant_ids, roles[1:], strict=True) if role is None]:
        sys.exit(f"parley: There is no tenant {unknown[0]!r} in the dashboards: `make bi` takes in new ones.")
    if user := security_manager.find_user(name):
        user.roles = roles
        security_manager.update_user(user)
        security_manager.reset_password(user.id, password)
    else:
        security_manager.add_user(name, name, "", f"{name}@localhost", roles, password)


def _allow_reading(datasets: list[SqlaTable]) -> None:
    """What a login may do apart from seeing rows: open dashboards and read the datasets."""
    role = security_manager.add_role(READER)
    access = [security_manager.add_permission_view_menu("datasource_access", dataset.perm) for dataset in datasets]
    reading = [one for one in security_manager.find_role("Gamma").permissions if _is_reading(one)]
    role.permissions = [*reading, *access]


def _is_reading(allowed: Any) -> bool:
    """Whether a permission of Superset's lets nobody leave anything where others see it."""
    return allowed.view_menu.name in _OWN_STATE or not allowed.permission.name.startswith(_CHANGES)


def _adopt_older_ones() -> None:
    """Older versions showed rows by rules in Superset, and had another name for the role that sees all tenants."""
    for rule in db.session.query(RowLevelSecurityFilter).filter(RowLevelSecurityFilter.name.startswith("Parley: ")):
        if FORMERLY_EVERYTHING in (role.name for role in rule.roles) and not security_manager.find_role(EVERYTHING):
            security_manager.find_role(FORMERLY_EVERYTHING).name = EVERYTHING
        db.session.delete(rule)
    db.session.flush()
