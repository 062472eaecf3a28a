"""The package as somebody installs it: `parley init` in an empty folder, then from events to tables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parley.settings import Settings
from tests.conftest import Rows
from tests.support import landing

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).resolve().parents[2]


def run(*command: str, cwd: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    """A module of the installed package, with nothing of the checkout on the path."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    environment.pop("PARLEY_PROJECT", None)
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_works_from_an_empty_folder(database: Settings, rows: Rows, tmp_path: Path) -> None:
    wheels, packages = tmp_path / "wheels", tmp_path / "packages"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], cwd=PROJECT, check=True)
    [wheel] = wheels.iterdir()
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", packages, wheel],
        check=True,
    )

    nowhere = run("parley", "build", cwd=tmp_path, packages=packages)
    assert nowhere.returncode == 1
    assert "parley init" in nowhere.stderr

    made = run("parley", "init", "mine", cwd=tmp_path, packages=packages)
    assert made.returncode == 0, made.stderr
    again = run("parley", "init", "mine", cwd=tmp_path, packages=packages)
    assert again.returncode == 1
    assert "not empty" in again.stderr

    file = landing.write(tmp_path / "events.ndjson", [landing.event(number) for number in range(20)])
    for command in (f"load {file}", "build --select +daily_metrics"):
        done = run("parley", *command.split(), cwd=tmp_path / "mine", packages=packages)
        assert done.returncode == 0, done.stdout + done.stderr
    assert rows("select sum(total_conversations)::int as conversations from marts.daily_metrics") == [
        {"conversations": 12}
    ]
