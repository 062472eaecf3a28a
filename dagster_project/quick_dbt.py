"""`parley-dbt`: dbt as Dagster calls it, several seconds of each call quicker.

dbt keeps a parsed project only while the variables stay the same, and a build's `as_of` never does: the project is
parsed without variables first, as `parley build` does. And dagster-dbt asks for dbt's version before every call.

It ends when who called it has ended: the run that was killed held the build's lock, and another build may begin.
"""

import os
import sys
import threading
import time
from importlib.metadata import version


def main() -> None:
    """dbt's command line, with dbt's exit status."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"installed: {version('dbt-core')}")
        return
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    from parley.build.dbt import kept_connections

    parsed = dbtRunner().invoke(["--quiet", "--no-write-json", "parse"]).result
    # where it cannot be parsed there is no manifest: dbt parses again, and says aloud what is wrong
    with kept_connections():
        outcome = dbtRunner(parsed if isinstance(parsed, Manifest) else None).invoke(arguments)
    if outcome.exception:
        print(outcome.exception, file=sys.stderr)
    sys.exit(0 if outcome.success else 2 if outcome.exception else 1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
