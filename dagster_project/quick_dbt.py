"""`parley-dbt`: dbt as Dagster calls it, several seconds of each call quicker.

dbt keeps a parsed project only while the variables stay the same, and a build's `as_of` never does: the project is
parsed without variables first, as `parley build` does. And dagster-dbt asks for dbt's version before every call.
"""

import sys
from importlib.metadata import version


def main() -> None:
    """dbt's command line, with dbt's exit status."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"installed: {version('dbt-core')}")
        return
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    parsed = dbtRunner().invoke(["--quiet", "--no-write-json", "parse"]).result
    # where it cannot be parsed there is no manifest: dbt parses again, and says aloud what is wrong
    outcome = dbtRunner(parsed if isinstance(parsed, Manifest) else None).invoke(arguments)
    if outcome.exception:
        print(outcome.exception, file=sys.stderr)
    sys.exit(0 if outcome.success else 2 if outcome.exception else 1)
