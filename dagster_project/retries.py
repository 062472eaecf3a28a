"""Retries: for errors of the infrastructure only."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
from dagster_dbt import DagsterDbtCliRuntimeError

from parley.errors import ParleyError, may_pass

ATTEMPTS = 3
SECONDS_BETWEEN = 30


@contextmanager
def retried() -> Iterator[None]:
    """Asks Dagster for another attempt where an error inside may pass by itself."""
    try:
        yield
    except (psycopg.Error, ParleyError, DagsterDbtCliRuntimeError) as error:
        if may_pass(error):
            raise dg.RetryRequested(max_retries=ATTEMPTS - 1, seconds_to_wait=SECONDS_BETWEEN) from error
        raise
