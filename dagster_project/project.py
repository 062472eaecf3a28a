"""The dbt project, and its manifest, from which Dagster's assets are made."""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster_dbt import DbtProject

from dagster_project.programs import program
from parley.errors import ParleyError
from parley.settings import Settings

# not dbt's own target folder, whose manifest every `parley build` rewrites while others may be reading it
TARGET = Path("target/dagster")
INPUTS = (
    "dbt_project.yml",
    "profiles.yml",
    "models",
    "macros",
    "seeds",
    "tests/data",
    "docs/catalog",
)


def prepared_project(settings: Settings) -> DbtProject:
    """The dbt project with a manifest that is as new as its files; parses it (seconds) where it is not.

    Raises ParleyError where dbt cannot parse the project.
    """
    project = DbtProject(settings.project, target_path=TARGET)
    with _taking_turns(project.manifest_path.with_suffix(".lock")):
        if not _is_fresh(project.manifest_path, [settings.project / name for name in INPUTS]):
            _parse(project)
    return project


def _is_fresh(manifest: Path, inputs: list[Path]) -> bool:
    """Whether nothing the manifest is made of is newer; a folder is newer when a file in it came or went."""
    if not manifest.exists():
        return False
    made_at = manifest.stat().st_mtime
    return all(
        path.stat().st_mtime <= made_at for given in inputs if given.exists() for path in (given, *given.rglob("*"))
    )


def _parse(project: DbtProject) -> None:
    folder = project.manifest_path.parent
    with TemporaryDirectory(dir=folder) as scratch:
        command = [program("dbt"), "--quiet", "parse", "--target-path", scratch, "--log-path", scratch]
        command += ["--project-dir", str(project.project_dir), "--profiles-dir", str(project.profiles_dir)]
        done = subprocess.run(
            command,
            cwd=project.project_dir,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ParleyError(f"dbt cannot parse the project: fix it and try again.\n{done.stdout}{done.stderr}")
        Path(scratch, "manifest.json").replace(project.manifest_path)


@contextmanager
def _taking_turns(lock: Path) -> Iterator[None]:
    """Webserver, daemon and runs load the definitions at the same time: one of them parses, the others wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
