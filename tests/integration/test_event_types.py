"""The registry of event types in the database, and the command that keeps it."""

from dataclasses import replace
from pathlib import Path

import pytest

from parley.config import tenants, tracking_plan
from parley.config.tracking_plan import EventType, Plan
from parley.errors import ParleyError
from parley.landing.results import Accepted
from parley.landing.rules import Rules, arguments
from parley.settings import Settings
from parley.warehouse import database as warehouse
from tests.conftest import Rows, parley
from tests.support.contract import PLAN, RECEIVED, event

LOYALTY = """
event_types:
  loyalty.earned:
    description: Points were earned.
    aliases: [points_earned]
    required: [points]
    attributes:
      points: {type: integer, minimum: 0, aliases: [pts]}
      member: {type: string, privacy: hash}
      note: {type: string, privacy: {text: 100}}
"""


def custom(tenant_id: str, name: str = "loyalty.earned", *aliases: str) -> EventType:
    schema = {"type": "object", "properties": {}, "required": []}
    return EventType(tenant_id, name, aliases, "loyalty", "Points.", 1, True, False, schema, {}, {}, "custom")


def test_the_plan_comes_back_from_the_database_as_it_went_in(database: Settings) -> None:
    with warehouse.connect(database) as connection:
        assert tracking_plan.register(connection, PLAN) == len(PLAN.types)
        assert sorted(tracking_plan.registered(connection), key=lambda kind: kind.event_name) == sorted(
            PLAN.types, key=lambda kind: kind.event_name
        )


def test_a_plan_that_is_registered_already_changes_nothing(database: Settings, rows: Rows) -> None:
    with warehouse.connect(database) as connection:
        tracking_plan.sync(connection, database.project / tracking_plan.FOLDER)
    before = rows("select event_name, updated_at, xmin::text from raw.event_types order by 1")
    with warehouse.connect(database) as connection:
        assert tracking_plan.register(connection, PLAN) == 0
    assert rows("select event_name, updated_at, xmin::text from raw.event_types order by 1") == before


def test_a_changed_plan_changes_the_rows_that_changed(database: Settings, rows: Rows) -> None:
    first, second, *others = PLAN.types
    with warehouse.connect(database) as connection:
        tracking_plan.register(connection, PLAN)
        changed = replace(second, version=7, aliases=("another",))
        assert tracking_plan.register(connection, Plan((changed, *others), PLAN.privacy)) == 2
    assert rows("select 1 from raw.event_types where event_name = %s", first.event_name) == []
    assert rows("select version, aliases from raw.event_types where event_name = %s", second.event_name) == [
        {"version": 7, "aliases": ["another"]}
    ]
    assert rows("select count(*) as n from raw.event_types") == [{"n": len(PLAN.types) - 1}]


def test_custom_types_outlive_the_plans_registration(database: Settings) -> None:
    own = custom("shop")
    shared = custom("*", "loyalty.spent")
    like_a_shipped_one = custom("*", "user.registered")
    with warehouse.connect(database) as connection:
        tracking_plan.register_custom(connection, [own, shared, like_a_shipped_one])
        tracking_plan.register(connection, PLAN)
        tracking_plan.register(connection, PLAN)
        found = tracking_plan.registered(connection)
    assert [kind for kind in found if kind.origin == "custom"] == [shared, like_a_shipped_one, own]
    assert len(found) == len(PLAN.types) + 2


def test_a_custom_type_may_be_replaced_but_never_a_shipped_one_for_all(database: Settings) -> None:
    with warehouse.connect(database) as connection:
        tracking_plan.register(connection, PLAN)
        tracking_plan.register_custom(connection, [custom("shop")])
        tracking_plan.register_custom(connection, [replace(custom("shop"), version=2)])
        tracking_plan.register_custom(connection, [custom("shop", "user.registered")])
        with pytest.raises(ParleyError, match=r"user\.registered is a shipped type"):
            tracking_plan.register_custom(connection, [custom("*", "user.registered")])
        versions = {
            kind.event_name: kind.version for kind in tracking_plan.registered(connection) if kind.tenant_id == "shop"
        }
    assert versions == {"loyalty.earned": 2, "user.registered": 1}


@pytest.mark.parametrize("alias", ["message_received", "message.received", "points_spent"])
def test_a_name_that_the_tenant_has_already_cannot_be_given_again(database: Settings, alias: str) -> None:
    with warehouse.connect(database) as connection:
        tracking_plan.register(connection, PLAN)
        tracking_plan.register_custom(connection, [custom("shop", "loyalty.spent", "points_spent")])
        with pytest.raises(ParleyError, match=f"{alias!r} stands for both"):
            tracking_plan.register_custom(connection, [custom("shop", "loyalty.earned", alias)])
        tracking_plan.register_custom(connection, [custom("salon", "loyalty.earned", "points_spent")])


def test_rules_are_made_of_what_holds_now(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_STRICT_TENANTS", "true")
    monkeypatch.setenv("PARLEY_MAX_FUTURE_HOURS", "48")
    with warehouse.connect(database) as connection:
        connection.execute("insert into raw.erased_subjects values ('shop-newyork', 'abc')")
        tracking_plan.register_custom(connection, [custom("shop-newyork", f"loyalty.level_{n}") for n in range(60)])
        found = arguments(connection, Settings.load(), "bot", "salon-paris")
    assert found["erased"] == {"abc"}
    assert (found["strict_tenants"], found["max_future"].total_seconds()) == (True, 48 * 3600)
    assert (found["source_format"].name, found["default_tenant"]) == ("bot", "salon-paris")
    assert len(found["plan"].types) == len(PLAN.types) + 60
    sent = {"event_name": "loyalty.level_7", "occurred_at": event()["occurred_at"], "tenant_id": "shop-newyork"}
    assert isinstance(Rules(**found).validate(sent, RECEIVED), Accepted)


def test_the_seeds_time_zones_are_known_to_postgres(database: Settings, tmp_path: Path) -> None:
    with warehouse.connect(database) as connection:
        assert tenants.read(database.project / tenants.SEED, connection)
        file = tmp_path / "tenants.csv"
        file.write_text(f"{','.join(tenants.COLUMNS)}\nshop,,localtime,,,,,,,,\n")
        connection.execute(
            "create temporary view pg_timezone_names as select 'UTC'::text as name"
        )  # one that knows less
        with pytest.raises(ParleyError, match=r"row 2, time_zone: Postgres does not know 'localtime'"):
            tenants.read(file, connection)


def test_no_tenant_can_be_called_like_all_of_them(database: Settings) -> None:
    with warehouse.connect(database) as connection, pytest.raises(ParleyError, match="cannot be named"):
        arguments(connection, database, "parley", "*")


# the command


def test_a_type_registered_at_run_time_lands_from_then_on(database: Settings, tmp_path: Path) -> None:
    plan, events = tmp_path / "loyalty.yml", tmp_path / "events.ndjson"
    plan.write_text(LOYALTY)
    events.write_text(
        '{"event_name": "points_earned", "occurred_at": "2024-05-31T12:30:00Z", "tenant_id": "shop-newyork",'
        ' "attributes": {"pts": 5}}\n\n{"event_name": "message.received"}\nno JSON\n'
    )
    before = parley("events", "validate", str(events))
    assert before.returncode == 1
    assert "would be rejected: 3" in before.stdout
    assert "unknown_event_type" in before.stdout

    registered = parley("events", "register", str(plan), "--tenant", "shop-newyork")
    assert (registered.returncode, registered.stdout) == (0, "Registered for shop-newyork: loyalty.earned.\n")
    assert "loyalty.earned" in parley("events", "list", "--tenant", "shop-newyork").stdout
    assert "loyalty.earned" not in parley("events", "list", "--tenant", "salon-paris").stdout

    after = parley("events", "validate", str(events))
    assert after.returncode == 1
    assert "would be rejected: 2, would be accepted: 1" in after.stdout
    assert "missing_field: 1, invalid_json: 1" in after.stdout


def test_a_file_that_keeps_to_the_contract_validates_and_lands_nothing(
    database: Settings, tmp_path: Path, rows: Rows
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(
        '{"event_name": "message_received", "chat_id": 7, "properties": {"text": "hi"},'
        ' "occurred_at": "2024-05-31T12:30:00Z", "platform": "telegram"}\n'
    )
    said = parley("events", "validate", str(file), "--dialect", "bot", "--tenant", "salon-paris")
    assert (said.returncode, said.stdout.strip()) == (0, "would be accepted: 1")
    assert rows("select count(*) as n from raw.loads") == [{"n": 0}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("register", "no-such-file.yml"), "cannot be read"),
        (("register", "pyproject.toml", "--tenant", "*"), "A tenant cannot be named"),
        (("validate", "no-such-file.ndjson"), "There is no file no-such-file.ndjson"),
        (("validate", "seeds/tenants.csv", "--dialect", "unheard-of"), "There is no source format 'unheard-of'"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_status_1(database: Settings, words: tuple[str, ...], says: str) -> None:
    said = parley("events", *words)
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("parley: ")
    assert says in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["list", "register", "validate"])
def test_help_shows_an_example(database: Settings, command: str) -> None:
    assert f"Example: parley events {command}" in parley("events", command, "--help").stdout
