"""Which failures another attempt may mend: those of the infrastructure, never those of the data."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
from dagster_dbt import DagsterDbtCliRuntimeError

from parley.errors import ParleyError

ATTEMPTS = 3
SECONDS_BETWEEN = 30

_PASSING = re.compile(
    r"""connection\ refused | connection\ reset | connection\ timed\ out | timeout\ expired
      | server\ closed\ the\ connection | connection\ already\ closed | cannot\ be\ reached | did\ not\ start
      | terminating\ connection | the\ database\ system\ is\ (starting\ up|shutting\ down|in\ recovery\ mode)
      | too\ many\ (clients|connections) | remaining\ connection\ slots
      | deadlock\ detected | could\ not\ serialize\ access
      | could\ not\ resize\ shared\ memory | out\ of\ memory""",
    re.IGNORECASE | re.VERBOSE,
)


def may_pass(error: BaseException | str) -> bool:
    """Whether an error, by its message, is of a kind that passes by itself."""
    return _PASSING.search(str(error)) is not None


@contextmanager
def retried() -> Iterator[None]:
    """Asks Dagster for another attempt where an error inside may pass by itself."""
    try:
        yield
    except (psycopg.Error, ParleyError, DagsterDbtCliRuntimeError) as error:
        if may_pass(error):
            raise dg.RetryRequested(max_retries=ATTEMPTS - 1, seconds_to_wait=SECONDS_BETWEEN) from error
        raise
