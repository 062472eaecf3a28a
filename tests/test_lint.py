"""Style and types, as `make lint` checks them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).resolve().parents[1]
# mypy reads what packages say for more than a minute, and in a fresh clone again where its cache is the clone's
MYPY_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parley/mypy"


@pytest.mark.parametrize(
    "command",
    [
        "ruff check",
        "ruff format --check",
        "mypy",
        "sqlfluff lint --disable-progress-bar models",
        "lint-imports",
    ],
)
def test_everything_keeps_to_the_projects_style(command: str) -> None:
    program, *arguments = command.split()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=PROJECT,
        env={**os.environ, "MYPY_CACHE_DIR": str(MYPY_CACHE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
