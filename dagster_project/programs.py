"""The programs of this Python environment, which need not be on the PATH. No Dagster here."""

import sys
from pathlib import Path


def program(name: str) -> str:
    """The path of a program by its name."""
    return str(Path(sys.executable).with_name(name))
