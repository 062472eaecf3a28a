"""Who sees which tenant: a role per tenant, and row-level security that shows its rows to nobody else.

Every dataset has `tenant_id`. Somebody sees the tenants of the roles that he has, and no row at all without one; an
administrator of Superset sees all. Runs inside Superset's app context.
"""

import sys
from collections.abc import Iterable
from typing import Any

from superset import db, security_manager
from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable
from superset.models.core import Database

from dashboards.superset import bundle

READER = "Parley reader"
EVERYTHING = "Parley: all tenants"
NOTHING = "Parley: nothing for anybody else"


def tenant_role(tenant_id: str) -> str:
    """The name of the role that shows a tenant, and of its rule."""
    return f"Parley: {tenant_id}"


def apply(tenant_ids: Iterable[str]) -> None:
    """Make the roles and rules of these tenants, for every dataset on the warehouse, also those that people made."""
    warehouse = db.session.query(Database).filter_by(uuid=bundle.identity("database", bundle.DATABASE)).one()
    datasets = db.session.query(SqlaTable).filter_by(database_id=warehouse.id).all()
    _allow_reading(datasets)
    for tenant_id in tenant_ids:
        role = security_manager.add_role(tenant_role(tenant_id))
        literal = tenant_id.replace("'", "''")
        _rule(role.name, "Regular", f"tenant_id = '{literal}'", [role], datasets)
    seeing = [security_manager.add_role(EVERYTHING), security_manager.find_role("Admin")]
    for rule in db.session.query(RowLevelSecurityFilter).filter_by(group_key=READER):
        seeing += [role for role in rule.roles if role not in seeing]
    _rule(NOTHING, "Base", "1 = 0", seeing, datasets)


def login(name: str, password: str, tenant_ids: list[str]) -> None:
    """Make a user who sees these tenants and no other, or make one that there is such a one."""
    roles = [security_manager.find_role(role) for role in (READER, *map(tenant_role, tenant_ids))]
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
    role.permissions = [*security_manager.find_role("Gamma").permissions, *access]


def _rule(name: str, kind: str, clause: str, roles: list[Any], datasets: list[SqlaTable]) -> None:
    rule = db.session.query(RowLevelSecurityFilter).filter_by(name=name).one_or_none()
    if rule is None:
        rule = RowLevelSecurityFilter(name=name)
        db.session.add(rule)
    rule.filter_type, rule.clause = kind, clause
    rule.group_key = READER if kind == "Regular" else None  # rules of one group are joined by "or"
    rule.description = "`make bi` writes this rule anew."
    rule.roles, rule.tables = roles, datasets
