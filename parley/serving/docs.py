"""The tables and their lineage as web pages: dbt's documentation, as one file that needs no server.

`python -m parley.serving.docs PAGE…` makes pages that dbt has written readable, as `publish` does.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database

PAGE = "index.html"
_KEPT_SPACES = "<style>.filename > span:not(:first-child) { white-space: pre }</style>"
"""dbt shows a name in two parts side by side, and a space between them is lost."""


def publish(settings: Settings) -> Path:
    """Write the documentation of what is built to `PARLEY_DOCS`, in place of the last one; returns its path.

    Raises ParleyError where dbt cannot make it.
    """
    settings.docs.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.docs, prefix=".") as scratch:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--quiet", "docs", "generate", "--static"),
                *("--target-path", scratch, "--log-path", scratch),
                *("--project-dir", str(settings.project), "--profiles-dir", str(settings.project)),
            ],
            env={**os.environ, **database.variables(settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        made = Path(scratch, "static_index.html")
        if done.returncode or not made.is_file():
            raise ParleyError(
                f"dbt cannot make the documentation: build first, or fix this.\n{done.stdout}{done.stderr}"
            )
        make_readable(made)
        shutil.move(made, settings.docs / PAGE)
    return settings.docs / PAGE


def make_readable(page: Path) -> None:
    """Keep the spaces in the names of a page that dbt has written."""
    text = page.read_text(encoding="utf-8")
    if _KEPT_SPACES not in text:
        page.write_text(text.replace("</head>", f"{_KEPT_SPACES}</head>", 1), encoding="utf-8")


def link(settings: Settings, kind: str, unique_id: str) -> str:
    """The address of a dbt resource's page, where `make docs` or a web server over `PARLEY_DOCS` shows it."""
    return f"{settings.docs_url}/#!/{kind}/{unique_id}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        make_readable(Path(name))
