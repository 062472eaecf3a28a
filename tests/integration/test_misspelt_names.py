"""A tenant that nobody knows is named in one sentence by every command that is about a tenant."""

from collections.abc import Iterator
from typing import Any

import typer

from parley.cli.app import app
from parley.settings import Settings
from tests.conftest import parley

MISSPELT = "nordc-bank"
OF_NEW_ONES = {"consume", "events register", "events validate", "formats try", "keys create", "load"}
"""Commands that a tenant may be new to."""
OF_WHAT_WAS = {"audit list", "bi-role revoke"}
"""Commands about tenants that may have gone."""
ARGUMENTS = {
    "bi-role create": (),
    "events codegen": ("--language", "python"),
    "export": ("conversations",),
    "export-subject": ("--user", "u-1", "--out", "of-u-1"),
    "forget": ("--user", "u-1", "--yes"),
    "funnels show": ("shop_purchase",),
    "gaps set": ("5f0c11ab", "resolved"),
    "inputs release": ("2025-06-28", "--reason", "a test"),
    "metrics query": ("resolution_rate",),
}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its name, such as "gaps set"."""
    if parts := getattr(command, "commands", None):
        for name, part in parts.items():
            yield from commands(part, (*path, name))
    else:
        yield " ".join(path), command


def test_a_tenant_that_nobody_knows_is_named(built: Settings) -> None:
    about_a_tenant = {
        name
        for name, command in commands(typer.main.get_command(app))
        if any(parameter.name == "tenant" for parameter in command.params)
    }
    assert about_a_tenant > OF_NEW_ONES | OF_WHAT_WAS | ARGUMENTS.keys()
    said = {}
    for name in about_a_tenant - OF_NEW_ONES - OF_WHAT_WAS:
        given = (MISSPELT,) if name.startswith("tenants ") else ("--tenant", MISSPELT)
        done = parley(*name.split(), *ARGUMENTS.get(name, ()), *given)
        said[name] = (done.returncode, done.stderr)
    assert {
        name: (status, message)
        for name, (status, message) in said.items()
        if status != 1 or message.count("\n") != 1 or f"There is no tenant '{MISSPELT}'" not in message
    } == {}
