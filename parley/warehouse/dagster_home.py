"""Where Dagster keeps its state: runs, events and schedules in schema `dagster`, logs under PARLEY_HOME/dagster.

Imports no Dagster: `parley env` only prints the variables that point Dagster here.
"""

import shutil
from pathlib import Path
from urllib.parse import quote

from parley.settings import Settings
from parley.warehouse import database

SCHEMA = "dagster"
TEMPLATE = Path(__file__).with_name("dagster.yaml")
OPTIONS = (
    f"-csearch_path={SCHEMA}"
    # a range of days writes an event for every day of every asset: without this the disk is asked to flush each
    " -csynchronous_commit=off"
)
EVENTS_AT_ONCE = 500


def prepare(settings: Settings) -> dict[str, str]:
    """Make the schema and DAGSTER_HOME where they are missing; returns the variables that point Dagster at them.

    Raises ParleyError where the database cannot be reached.
    """
    with database.connect(settings) as connection:
        connection.execute(f"create schema if not exists {SCHEMA}")
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(TEMPLATE, home / TEMPLATE.name)
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_EVENT_BATCH_SIZE": str(EVENTS_AT_ONCE),
        "PARLEY_DAGSTER_URL": f"{database.sqlalchemy_url(settings, 'psycopg2')}&options={quote(OPTIONS)}",
    }
