"""Bring Superset's own database up to date, and import the dashboards: `python -m dashboards.superset.apply`.

Runs in Superset's environment, started by `serve.py`. Doing it twice changes nothing. With `--login USER --tenant T` it
only makes a login, for `login.py`.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import sqlalchemy
from superset.app import create_app

from dashboards.superset import bundle

ADMIN = "admin"


def main() -> None:
    """Migrate, sync permissions, make the administrator, import, say who sees which tenant; or make a login."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--login")
    parser.add_argument("--tenant", action="append", default=[])
    asked = parser.parse_args()
    app = create_app()
    with app.app_context():
        from superset import db

        from dashboards.superset import tenants

        if asked.login:
            tenants.login(asked.login, os.environ["PARLEY_BI_LOGIN_PASSWORD"], asked.tenant)
        else:
            _update(app)
            tenants.apply(_tenant_ids())
        db.session.commit()


def _update(app: Any) -> None:
    import flask_migrate
    from superset import security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    flask_migrate.upgrade(directory=str(Path(app.root_path) / "migrations"))
    app.appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    with override_user(_administrator(security_manager)):
        ImportAssetsCommand(bundle.build(os.environ["PARLEY_BI_WAREHOUSE_URL"])).run()


def _administrator(security_manager: Any) -> Any:
    """The user `admin`, made where missing, with the password that the environment says."""
    given = os.environ.get("PARLEY_BI_PASSWORD")
    if admin := security_manager.find_user(ADMIN):
        if given:
            security_manager.reset_password(admin.id, given)
        return admin
    password = given or os.environ["PARLEY_BI_FIRST_PASSWORD"]
    role = security_manager.find_role("Admin")
    return security_manager.add_user(ADMIN, "Parley", "Admin", "admin@localhost", role, password)


def _tenant_ids() -> list[str]:
    url = sqlalchemy.engine.make_url(os.environ["PARLEY_BI_WAREHOUSE_URL"])
    reader = url.set(username=os.environ["PARLEY_BI_READER"], password=os.environ["PARLEY_BI_READER_PASSWORD"])
    engine = sqlalchemy.create_engine(reader)
    with engine.connect() as connection:
        return [row[0] for row in connection.execute("select tenant_id from marts.tenants_overview order by 1")]


if __name__ == "__main__":
    main()
