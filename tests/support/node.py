"""Node and the packages of `tests/node`, for tests with real JavaScript clients; where one is absent they skip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MODULES = Path(os.environ.get("PARLEY_NODE_MODULES") or Path(__file__).parents[1] / "node" / "node_modules")


def module(name: str) -> Path:
    """The folder of a package; skips the test where it is not installed."""
    found = MODULES / name
    if not found.is_dir():
        pytest.skip(f"{name} is not installed: npm install --prefix tests/node --no-package-lock")
    return found


def node(*arguments: str | Path) -> str:
    """What a program prints; skips the test where there is no Node. Raises AssertionError where it fails."""
    path = shutil.which("node") or pytest.skip("There is no Node here: apt-get install nodejs.")
    found = subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout
