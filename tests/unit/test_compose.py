"""compose.yaml and the Dockerfile hold together, as far as can be told without Docker."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from dagster_project.serve import without_secrets
from dashboards.superset.serve import of_server
from parley.cli.app import app

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
LASTING = [name for name, service in SERVICES.items() if service.get("restart") == "unless-stopped"]
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
EXAMPLE = dict(
    line.split("=", 1) for line in (PROJECT / ".env.example").read_text().splitlines() if re.match(r"[A-Z]", line)
)
SECRET = re.compile(r"PASS|SECRET|KEY")


def environments() -> list[tuple[str, str, str]]:
    """Every variable of every service: the service, the name, the value."""
    return [(name, *item) for name, service in SERVICES.items() for item in service.get("environment", {}).items()]


def test_it_keeps_to_the_specification_of_compose() -> None:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, PROJECT / "compose.yaml"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_postgres_parley_dagster_superset_and_metabase_start_together() -> None:
    started = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert started == {*LASTING, "migrate", "build", "superset-roles", "metabase-boards"}
    assert set(LASTING) == {"postgres", "dagster", "superset", "metabase"}


@pytest.mark.parametrize("name", LASTING)
def test_what_goes_on_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_can_come_true(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert wait["condition"] == ("service_healthy" if other in LASTING else "service_completed_successfully")
        assert "profiles" not in SERVICES[other]


def test_the_tables_are_there_before_anybody_reads_or_writes_them() -> None:
    def before(name: str) -> set[str]:
        direct = set(SERVICES[name].get("depends_on", {}))
        return direct.union(*map(before, direct))

    assert SERVICES["migrate"]["command"] == ["parley", "migrate"]
    for name in set(OURS) - {"migrate"}:
        assert {"postgres", "migrate"} <= before(name)


def test_no_secret_is_written_down() -> None:
    for service, name, value in environments():
        if SECRET.search(name):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?see \.env\.example\}", value), (service, name)
    assert {name for name, value in EXAMPLE.items() if value and SECRET.search(name)} == set()
    assert ".env" in (PROJECT / ".gitignore").read_text().split()
    assert ".env" in (PROJECT / ".dockerignore").read_text().split()


def test_the_example_names_every_variable_and_no_other() -> None:
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", TEXT)) == set(EXAMPLE)


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_there(name: str) -> None:
    command = [*SERVICES[name].get("entrypoint", []), *SERVICES[name].get("command", [])]
    if command[0] == "parley":
        known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        assert set(command[1:]) <= set(known)
    else:
        assert command[:2] == ["python", "-m"]
        assert importlib.util.find_spec(command[2])


@pytest.mark.parametrize("name", [name for name in LASTING if "ports" in SERVICES[name]])
def test_a_port_is_the_one_that_is_listened_to_and_for_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    [port] = service["ports"]
    inside = port.rpartition(":")[2]
    assert port.startswith("127.0.0.1:")
    assert f"localhost:{inside}/" in " ".join(service["healthcheck"]["test"])
    if name in OURS:
        assert service["command"][-2:] == ["--port", inside]


@pytest.mark.parametrize("name", SERVICES)
def test_a_volume_is_declared(name: str) -> None:
    assert {volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])} <= set(COMPOSE["volumes"])


def test_images_are_named_without_a_host_and_a_version_is_pinned() -> None:
    others = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    base = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in (*others, base[0]):
        assert re.fullmatch(r"(\w+/)?\w+:v?\d[\w.-]*", image)
    stages = re.findall(r"^FROM \S+ AS (\w+)", DOCKERFILE, re.MULTILINE)
    assert {SERVICES[name]["build"]["target"] for name in OURS} == set(stages)


def test_an_image_runs_as_nobody_of_importance_with_the_pinned_packages() -> None:
    for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]:
        assert re.findall(r"^USER (\w+)", stage, re.MULTILINE)[-1] == "parley"
    locks = re.findall(r"pip sync --no-cache --require-hashes --python \S+ \\?\s*(\S+)", DOCKERFILE)
    assert len(locks) == 2
    assert all((PROJECT / lock).is_file() for lock in locks)
    [uv] = re.findall(r"uv==(\S+)", DOCKERFILE)
    assert f"UV_VERSION := {uv}\n" in (PROJECT / "Makefile").read_text()


def test_the_database_of_metabase_is_made_with_its_password_from_the_environment() -> None:
    script = COMPOSE["configs"]["metabase_database"]["content"].replace("$$", "$")
    assert "$METABASE_DB_PASSWORD" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
    [psql] = [line for line in script.splitlines() if line.startswith("psql")]
    assert "ON_ERROR_STOP=1" in shlex.split(psql)


OF_OWNER = {"PGPASSWORD", "PARLEY_SECRET", "DATABASE_URL", "POSTGRES_PASSWORD"}
TRUSTED = {"postgres", "migrate", "build", "dagster", "superset-roles", "metabase-boards", "parley"}
"""What builds or lands, or makes roles and ends. Everything else has neither the owner's password nor the secret."""


def test_what_need_not_change_tables_has_no_right_to() -> None:
    given = {name: set(service.get("environment", {})) for name, service in SERVICES.items()}
    assert {name for name, variables in given.items() if variables & OF_OWNER} == TRUSTED
    assert {name for name, variables in given.items() if "PARLEY_SECRET" in variables} == TRUSTED - {
        "postgres",
        "migrate",
    }
    files = {name for name, service in SERVICES.items() if "parley:/var/lib/parley" in service.get("volumes", [])}
    assert files == TRUSTED - {"postgres", "metabase-boards"}
    reached = {name for name, service in SERVICES.items() if "ports" in service}
    assert reached & TRUSTED == {"dagster"}  # which starts builds, and asks for a login in front of it


def test_the_dashboards_that_people_reach_know_what_was_prepared_for_them_and_no_more() -> None:
    prepare, serving = SERVICES["superset-roles"], SERVICES["superset"]
    assert set(serving["environment"]) == {"PARLEY_BI_PASSWORD"}
    [written] = [part for part in prepare["command"] if part.endswith(".json")]
    assert serving["command"][serving["command"].index("--prepared") + 1] == written
    [volume] = set(prepare["volumes"]) & set(serving["volumes"])
    assert Path(written).parent == Path(volume.partition(":")[2])
    assert "superset-roles" in serving["depends_on"]


def test_the_web_server_of_the_dashboards_runs_without_what_its_start_needs() -> None:
    given = {"PARLEY_BI_PASSWORD": "p", "PARLEY_SECRET": "s", "PGPASSWORD": "o", "DATABASE_URL": "u", "PGHOST": "h"}
    kept = of_server({**given, "PARLEY_BI_WAREHOUSE_URL": "postgresql://reader@host/warehouse"})
    assert set(kept) == {"PARLEY_BI_WAREHOUSE_URL", "PGHOST"}


def test_dagsters_web_server_hashes_nothing() -> None:
    given = {"PARLEY_SECRET": "s", "PGPASSWORD": "o", "DATABASE_URL": "u", "PARLEY_DAGSTER_URL": "d"}
    assert set(without_secrets(given)) == {"PARLEY_DAGSTER_URL"}
