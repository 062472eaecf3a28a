"""The role that dashboards read the warehouse with for people who see every tenant: it can change nothing.

It is named after the database (`parley_reader` for `parley`), and its password is derived from the installation's
secret, so that neither has to be kept anywhere. Who sees some tenants only reads by `parley.warehouse.tenant_roles`.
"""

from parley.settings import Settings
from parley.warehouse import tenant_roles

SCHEMAS = tenant_roles.SCHEMAS


def role(settings: Settings) -> str:
    """The role's name."""
    return tenant_roles.group(settings, "reader")


def password(settings: Settings) -> str:
    """The role's password, the same on every machine that has the installation's secret."""
    return tenant_roles.group_password(settings, "reader")


def prepare(settings: Settings) -> None:
    """Make the role where it is missing, and let it read what is built and what will be.

    Raises ParleyError where nothing has been built yet, or the user may not make roles.
    """
    tenant_roles.prepare(settings)
