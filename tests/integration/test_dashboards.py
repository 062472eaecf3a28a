"""What dashboards read is there, for the role that they read with, and nothing else is."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dashboards.source import Dataset, Source
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import bi_role, database

DATASETS = Source().datasets.values()


@pytest.fixture
def reading(built: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the dashboards' role to the small built warehouse."""
    bi_role.prepare(built)
    bi_role.prepare(built)  # twice is as good as once
    found = database.variables(built)
    with psycopg.connect(
        host=found["PGHOST"],
        port=found["PGPORT"],
        dbname=found["PGDATABASE"],
        user=bi_role.role(built),
        password=bi_role.password(built),
        autocommit=True,
    ) as connection:
        yield connection


def test_every_metric_and_column_of_every_dataset_can_be_read(reading: psycopg.Connection[Any]) -> None:
    broken = [problem for dataset in DATASETS for problem in _problems(reading, dataset)]
    assert broken == []


def _problems(reading: psycopg.Connection[Any], dataset: Dataset) -> Iterator[str]:
    rows = f"({dataset.sql}) as rows" if dataset.sql else f"{dataset.schema}.{dataset.name}"
    expressions = [(name, metric.sql) for name, metric in dataset.metrics.items()]
    expressions += [(name, column.get("sql") or name) for name, column in dataset.columns.items()]
    for name, expression in expressions:
        try:
            reading.execute(f"select {expression} from {rows} limit 1".encode())
        except psycopg.Error as error:
            yield f"{dataset.name}.{name}: {error}"


def test_every_dataset_says_whose_its_rows_are() -> None:
    assert [dataset.name for dataset in DATASETS if "tenant_id" not in dataset.columns] == []


def test_the_role_reads_facts_and_marts_and_nothing_else(reading: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reading.execute("delete from marts.daily_metrics")
    reading.execute("set default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reading.execute("delete from marts.daily_metrics")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reading.execute("select from raw.events")


def test_a_table_built_anew_can_be_read_too(built: Settings, reading: psycopg.Connection[Any]) -> None:
    with database.connect(built) as owner:
        owner.execute("create table marts.daily_metrics_anew as table marts.daily_metrics")
        owner.execute("drop table marts.daily_metrics")
        owner.execute("alter table marts.daily_metrics_anew rename to daily_metrics")  # as dbt does
    assert reading.execute("select count(*) > 0 from marts.daily_metrics").fetchone() == (True,)


def test_before_the_first_build_there_is_a_sentence(database: Settings) -> None:
    with pytest.raises(ParleyError, match="make run"):
        bi_role.prepare(database)
