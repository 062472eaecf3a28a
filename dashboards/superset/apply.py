"""Bring Superset's own database up to date, and import the dashboards.

`.venv-bi/bin/python -m dashboards.superset.apply`, started by `serve.py`. Doing it twice changes nothing.
"""

import os
from pathlib import Path
from typing import Any

from superset.app import create_app

from dashboards.superset import bundle

ADMIN = "admin"


def main() -> None:
    """Migrate, sync permissions, make the administrator, import."""
    app = create_app()
    with app.app_context():
        import flask_migrate
        from superset import security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        flask_migrate.upgrade(directory=str(Path(app.root_path) / "migrations"))
        app.appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        admin = _administrator(security_manager)
        with override_user(admin):
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


if __name__ == "__main__":
    main()
