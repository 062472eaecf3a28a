"""Errors as Dagster keeps and shows them: without what they quote of events; those that may pass are tried again."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
from dagster_dbt import DagsterDbtCliRuntimeError

from parley.errors import ParleyError, may_pass, told
from parley.warehouse import postgres_errors

ATTEMPTS = 3
SECONDS_BETWEEN = 30
_OWN = (dg.DagsterError, dg.Failure, dg.RetryRequested, ParleyError)


@contextmanager
def retried() -> Iterator[None]:
    """Asks Dagster for another attempt where an error inside may pass by itself; else as `without_values`."""
    with without_values():
        try:
            yield
        except (psycopg.Error, ParleyError, DagsterDbtCliRuntimeError) as error:
            if not may_pass(error):
                raise
            raise dg.RetryRequested(max_retries=ATTEMPTS - 1, seconds_to_wait=SECONDS_BETWEEN) from None


@contextmanager
def without_values() -> Iterator[None]:
    """Keeps the values of rows, which errors quote, from Dagster's tables: it stores what is raised, and its causes."""
    try:
        yield
    except _OWN as error:
        raise error from None
    except psycopg.Error as error:
        said = postgres_errors.without_values(error)
        raise dg.Failure(f"{said} (sqlstate {error.sqlstate}; {told(error)})", allow_retries=True) from None
    except Exception as error:
        raise dg.Failure(told(error), allow_retries=True) from None
