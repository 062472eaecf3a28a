"""The files of a project, which a user edits: where the package keeps them, and how a new project gets them."""

import shutil
from pathlib import Path

from parley.errors import ParleyError

PARTS = (
    "dbt_project.yml",
    "profiles.yml",
    "workspace.yaml",
    "models",
    "macros",
    "seeds",
    "tracking_plan",
    "dashboards",
    "docs/catalog",
)
_PACKAGE = Path(__file__).resolve().parents[1]


def source() -> Path:
    """Where the parts are: packed beside the code in a wheel, else the checkout that the code is in."""
    packed = _PACKAGE / "project"
    return packed if packed.is_dir() else _PACKAGE.parent


def create(folder: Path) -> None:
    """Copy every part into a folder that is new or empty. Raises ParleyError where it holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ParleyError(f"{folder} is not empty: name a folder that is new or holds nothing.")
    for part in PARTS:
        origin, target = source() / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(origin, target)
