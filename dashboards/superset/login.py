"""A login that sees its own tenants only: `python -m dashboards.superset.login NAME --tenant T [--tenant T2]`.

The password is `PARLEY_BI_LOGIN_PASSWORD`, or made up and shown this once. A name that exists gets these tenants.
"""

import argparse
import os
import secrets
import subprocess
import sys

from dashboards.superset import serve
from parley.errors import ParleyError
from parley.settings import Settings

FAILED = "parley: The login could not be made: is Superset made ready (`make bi`)? "


def main() -> None:
    """Make the login in Superset's own database; a running Superset knows it at once."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.superset.login", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--tenant", action="append", required=True)
    asked = parser.parse_args()
    given = os.environ.get("PARLEY_BI_LOGIN_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    try:
        settings = Settings.load()
        environment = {**os.environ, **serve.variables(settings), "PARLEY_BI_LOGIN_PASSWORD": password}
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    tenants = [part for tenant in asked.tenant for part in ("--tenant", tenant)]
    made = subprocess.run(
        [serve.PROGRAMS / "python", "-m", "dashboards.superset.apply", "--login", asked.name, *tenants],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        said = made.stderr.strip().splitlines()[-1:]
        sys.exit(said[0] if said and said[0].startswith("parley: ") else FAILED + "".join(said))
    try:
        serve.prepare_logins(settings)
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    print(f"{asked.name} sees {', '.join(asked.tenant)}" + ("" if given else f"; the password is {password}"))


if __name__ == "__main__":
    main()
