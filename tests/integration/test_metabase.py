"""The provisioner against a FAKE of Metabase's API (`tests/fakes/metabase.py`), whose questions run on Postgres."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from dashboards.metabase import content, provision
from dashboards.source import PROJECT, Source, charts
from parley.config import tenants
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import bi_role, database
from tests.support.fakes.metabase import FakeMetabase, serving

USER, PASSWORD = "admin@example.org", "a test's password"
KEY = "mb_a test's key"
TENANT = "salon-paris"
DAY = timedelta(days=1)
FROM, BEFORE = "2025-06-28", "2025-07-01"
SOURCE = Source()
NAMES = {tenant.tenant_id: tenant.name for tenant in tenants.read(PROJECT / tenants.SEED).values()}
CHARTS = sum(len(charts(board)) for board in SOURCE.boards.values())
OBJECTS = 1 + len(provision.COLLECTIONS) + len(SOURCE.datasets) + CHARTS + len(SOURCE.boards)


@pytest.fixture
def metabase(built: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMetabase]:
    """A Metabase that the environment names, which finds the small built warehouse under the name `warehouse`."""
    monkeypatch.setenv("METABASE_WAREHOUSE_HOST", "warehouse")
    monkeypatch.setenv("METABASE_API_KEY", KEY)
    with serving(FakeMetabase(hosts={"warehouse": database.variables(built)["PGHOST"]}, api_key=KEY)) as fake:
        monkeypatch.setenv("METABASE_URL", fake.url)
        yield fake


def results(fake: FakeMetabase, board: str, **filters: str) -> dict[str, list[list[Any]]]:
    """The rows of every chart of a board, by its name, with these filters chosen."""
    [dashboard] = [one for one in fake.dashboard.values() if one["name"] == SOURCE.boards[board]["title"]]
    filters |= {"tenant": NAMES.get(filters["tenant"], filters["tenant"])} if "tenant" in filters else {}
    chosen = [
        {"id": one["id"], "value": [filters[one["slug"]]] if one["type"] == "string/=" else filters[one["slug"]]}
        for one in dashboard["parameters"]
        if one["slug"] in filters
    ]
    found = {}
    with httpx.Client(base_url=fake.url, headers={"X-API-Key": KEY}) as client:
        for card in dashboard["dashcards"]:
            if card["card_id"]:
                path = f"/api/dashboard/{dashboard['id']}/dashcard/{card['id']}/card/{card['card_id']}/query"
                answer = client.post(path, json={"parameters": chosen}).json()
                name = fake.card[card["card_id"]]["name"]
                assert answer["status"] == "completed", (name, answer)
                found[name] = answer["data"]["rows"]
    return found


def warehouse(query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect() as connection:
        return connection.execute(query.encode(), parameters or None).fetchall()


def test_done_twice_it_changes_nothing_more(metabase: FakeMetabase) -> None:
    assert provision.provision() == {"created": OBJECTS}
    written = list(metabase.writes)
    assert provision.provision() == {"unchanged": OBJECTS}
    assert metabase.writes == written


def test_every_chart_of_every_board_runs_and_shows_what_its_table_has(metabase: FakeMetabase) -> None:
    provision.provision()
    june = {"from": "2025-06-01", "to": BEFORE}
    shown = {"commerce": "salon-paris", "responses": "voice-tokyo"}
    empty: set[str] = set()
    for board, spec in SOURCE.boards.items():
        tenant = shown.get(board, "nordic-bank")
        dates = {} if board == "inputs" else june  # whose dates are those of the landing
        found = results(metabase, board, tenant=tenant, **dates)
        for chart in charts(spec):
            table = SOURCE.datasets[chart["dataset"]]
            if not found[chart["name"]]:
                rows = f"({table.sql}) as rows" if table.sql else f"{table.schema}.{table.name}"
                where = {
                    name: value if isinstance(value, list) else [value]
                    for name, value in chart.get("where", {}).items()
                }
                empty.add(chart["name"])
                query = f"select count(*) from {rows} where tenant_id = %s"
                query += "".join(f" and {column} = any(%s)" for column in where)
                query += (
                    f" and ({some})" if (some := " or ".join(f"{one} <> 0" for one in chart.get("some", []))) else ""
                )
                assert warehouse(query, tenant, *where.values()) == [(0,)], chart
    assert empty == {
        # a bank without an experiment, and without orders
        *("What can be said", "Customers by variant", "Lift over the control, with its 95 % interval", "Results"),
        "Revenue per customer so far, by number of periods since the first",
        *("Revenue and refunds", "From view to order"),  # a salon books
        "Calls of models",  # a voice bot measures its first responses, and no calls
        "People and teams",  # the demo's conversations name no agent
        *("Orders one by one", "Rejected lines by reason", "Why lines are rejected", "Anomalies"),
    }


def test_numbers_are_those_of_the_marts(metabase: FakeMetabase) -> None:
    provision.provision()
    days = {"tenant": TENANT, "from": FROM, "to": BEFORE}
    overview = results(metabase, "overview", **days)
    by_day = warehouse(
        "select to_char(date, 'YYYY-MM-DD'), resolved_conversations, escalated_conversations,"
        " abandoned_conversations, open_conversations, no_reply_conversations from marts.daily_metrics"
        " where tenant_id = %s and date >= %s and date < %s and total_conversations > 0 order by 1",
        TENANT,
        FROM,
        BEFORE,
    )
    assert overview["Conversations by outcome"] == [[day, *map(float, counts)] for day, *counts in by_day]
    stretches = [("2025-06-25", FROM), (FROM, BEFORE)]
    started = "select count(*) from facts.conversations where tenant_id = %s and started_on >= %s and started_on < %s"
    counts = [[starts, *warehouse(started, TENANT, starts, ends)[0]] for starts, ends in stretches]
    assert overview["Conversations"] == counts
    assert len(overview["The conversations behind these numbers"]) == counts[1][1] > 0
    funnel = dict(results(metabase, "funnels", tenant=TENANT)["The funnel, all time"])
    reached = warehouse(
        "select step || '. ' || step_name, reached::float8 from marts.funnels where tenant_id = %s and period = 'all'"
        " and funnel_id = 'question_to_resolution' and breakdown_kind = 'all'",
        TENANT,
    )
    assert {name: float(count) for name, count in funnel.items()} == dict(reached)


def test_the_channel_acts_where_it_is_known(metabase: FakeMetabase) -> None:
    provision.provision()
    days = {"tenant": TENANT, "from": "2025-06-01", "to": BEFORE}
    [(channel, count)] = warehouse(
        "select channel, count(*) from facts.conversations where tenant_id = %s and started_on >= %s"
        " and started_on < %s group by 1 order by 2, 1 limit 1",
        *days.values(),
    )
    chosen = results(metabase, "overview", channel=channel, **days)
    assert chosen["Channels"] == [[channel, count]]
    assert chosen["Active customers"] == results(metabase, "overview", **days)["Active customers"]


def test_tenants_of_the_same_name_are_chosen_one_by_one(metabase: FakeMetabase) -> None:
    namesakes = ("nordic-bank", TENANT)
    with psycopg.connect() as connection:
        connection.execute(
            "update marts.tenants_overview set name = 'Namesake' where tenant_id = any(%s)", [list(namesakes)]
        )
    provision.provision()
    for tenant in namesakes:
        days = {"tenant": f"Namesake ({tenant})", "from": "2025-06-01", "to": BEFORE}
        shown = results(metabase, "overview", **days)["Channels"]
        expected = warehouse(
            "select channel, count(*) from facts.conversations where tenant_id = %s and started_on < %s group by 1",
            tenant,
            BEFORE,
        )
        assert {(channel, count) for channel, count in shown} == {*expected} != set()


def test_a_tenant_named_as_another_is_known_by_is_not_taken_for_it(metabase: FakeMetabase) -> None:
    names = {"nordic-bank": "Shop", TENANT: "Shop", "voice-tokyo": f"Shop ({TENANT})"}
    with psycopg.connect() as connection:
        for tenant, name in names.items():
            connection.execute("update marts.tenants_overview set name = %s where tenant_id = %s", [name, tenant])
    table = SOURCE.datasets["tenants_overview"]
    assert dict(warehouse(f"select tenant_id, tenant from ({table.sql}) as rows where tenant like 'Shop (%'")) == {
        tenant: f"{name} ({tenant})" for tenant, name in names.items()
    }
    provision.provision()
    days = {"tenant": f"Shop ({TENANT})", "from": "2025-06-01", "to": BEFORE}
    of_one = "select count(*) from facts.conversations where tenant_id = %s and started_on < %s"
    assert (
        len(results(metabase, "overview", **days)["The conversations behind these numbers"])
        == (warehouse(of_one, TENANT, BEFORE)[0][0])
    )


def test_a_heat_map_has_every_hour_of_every_weekday(metabase: FakeMetabase) -> None:
    provision.provision()
    [(day, conversations)] = warehouse(
        "select started_on::text, count(*) from facts.conversations where tenant_id = %s group by 1 order by 1 limit 1",
        TENANT,
    )
    shown = results(metabase, "responses", tenant=TENANT, **{"from": day, "to": str(date.fromisoformat(day) + DAY)})
    for name in ("When conversations start, by hour", "Share answered later than promised, by hour"):
        cells = {(weekday[2:], hour): value for weekday, hour, value in shown[name]}
        assert len(cells) == len(shown[name]) == 7 * 24
        assert {weekday for weekday, _ in cells} == {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
        assert {hour for _, hour in cells} == set(range(24))
        assert {weekday for (weekday, _), value in cells.items() if value} <= {f"{date.fromisoformat(day):%a}"}
    assert sum(value for *_, value in shown["When conversations start, by hour"]) == conversations


def test_without_a_tenant_a_board_asks_for_one_and_adds_up_nothing(metabase: FakeMetabase) -> None:
    settings = Settings.load()
    bi_role.prepare(settings)
    with provision.api.connect(metabase.url, KEY) as connection:
        provision.Provisioner(connection).run(SOURCE, provision.details(settings), {})
    with pytest.raises(AssertionError, match="You'll need to pick a value for 'Tenant'"):
        results(metabase, "overview")
    assert results(metabase, "overview", tenant=TENANT)


def test_a_tenant_has_boards_of_its_own_over_a_connection_that_sees_its_rows_only(
    metabase: FakeMetabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision.provision()
    monkeypatch.setenv("METABASE_TENANT", TENANT)
    assert provision.provision() == {"created": OBJECTS}
    assert provision.provision() == {"unchanged": OBJECTS}
    monkeypatch.delenv("METABASE_TENANT")
    assert provision.provision() == {"unchanged": OBJECTS}
    of_tenant = [one for board in metabase.dashboard.values() for one in board["parameters"] if one["slug"] == "tenant"]
    assert [NAMES[TENANT]] in [one["default"] for one in of_tenant]
    [details] = [one["details"] for one in metabase.database.values() if one["name"] == f"Parley of {TENANT}"]
    with psycopg.connect(user=details["user"], password=details["password"]) as connection:
        seen = connection.execute("select distinct tenant_id from facts.conversations").fetchall()
    assert seen == [(TENANT,)]
    monkeypatch.setenv("METABASE_TENANT", "nobody")
    with pytest.raises(ParleyError, match="no tenant 'nobody'"):
        provision.provision()


def test_what_changed_is_written_and_what_is_gone_is_archived(metabase: FakeMetabase) -> None:
    provision.provision()
    of_parley = next(one["id"] for one in metabase.collection.values() if one["name"] == "Questions")
    by_hand = {**next(iter(metabase.card.values())), "collection_id": of_parley, "description": "Mine.", "id": 10_000}
    metabase.card[by_hand["id"]] = by_hand
    source = Source()
    [first, *others] = source.boards["inputs"]["rows"]
    source.boards["inputs"]["rows"] = [{**first, "charts": first["charts"][:-1]}, *others]
    metric = source.datasets["tool_chain_metrics"].metrics["chains"]
    source.datasets["tool_chain_metrics"].metrics["chains"] = replace(metric, label="Chains of tools")
    numbers = set(metabase.card)
    with provision.api.connect(metabase.url, KEY) as connection:
        provisioner = provision.Provisioner(connection)
        settings = Settings.load()
        provisioner.run(source, provision.details(settings), provision.first_tenants(settings, source))
    # the chart of chains and the dashboard that lost one
    assert provisioner.done == {"updated": 2, "archived": 1, "unchanged": OBJECTS - 3}
    assert set(metabase.card) == numbers
    assert [one["name"] for one in metabase.card.values() if one["archived"]] == [first["charts"][-1]["name"]]
    assert metabase.card[by_hand["id"]] == by_hand


@pytest.mark.parametrize("writes", [1, 40, OBJECTS])
def test_broken_off_it_goes_on_without_twins(metabase: FakeMetabase, writes: int) -> None:
    metabase.writes_left = writes
    with pytest.raises(ParleyError, match="500: Out of memory"):
        provision.provision()
    metabase.writes_left = 10**6
    provision.provision()
    assert provision.provision() == {"unchanged": OBJECTS}
    made = (metabase.database, metabase.collection, metabase.card, metabase.dashboard)
    assert sum(map(len, made)) == OBJECTS


def test_a_quite_new_metabase_gets_its_administrator(metabase: FakeMetabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METABASE_API_KEY")
    with pytest.raises(ParleyError, match="set METABASE_API_KEY, or METABASE_USER"):
        provision.provision()
    monkeypatch.setenv("METABASE_USER", USER)
    monkeypatch.setenv("METABASE_PASSWORD", PASSWORD)
    assert provision.provision() == {"created": OBJECTS}
    assert metabase.admin == (USER, PASSWORD)
    assert provision.provision() == {"unchanged": OBJECTS}


def test_what_is_wrong_is_said_in_a_sentence_that_tells_no_secret(
    metabase: FakeMetabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METABASE_API_KEY", "mb_another key")
    with pytest.raises(ParleyError, match="check METABASE_API_KEY") as refused:
        provision.provision()
    assert "mb_another" not in str(refused.value)
    monkeypatch.setenv("METABASE_API_KEY", KEY)
    monkeypatch.setenv("METABASE_WAREHOUSE_PORT", "many")
    with pytest.raises(ParleyError, match="is not a port"):
        provision.provision()
    monkeypatch.delenv("METABASE_WAREHOUSE_PORT")
    monkeypatch.delenv("METABASE_WAREHOUSE_HOST")
    with pytest.raises(ParleyError, match="on a local socket"):
        provision.provision()
    monkeypatch.delenv("METABASE_URL")
    with pytest.raises(ParleyError, match="METABASE_URL is not set"):
        provision.provision()
    assert metabase.writes == []


def test_a_metabase_that_is_not_there_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision.api, "CONNECTION_RETRIES", 0)
    with (
        provision.api.connect("http://127.0.0.1:9", KEY) as nobody,
        pytest.raises(ParleyError, match="is it up, and is METABASE_URL right"),
    ):
        nobody.get("/api/database")


def test_cards_stand_on_the_grid_side_by_side(metabase: FakeMetabase) -> None:
    provision.provision()
    for dashboard in metabase.dashboard.values():
        taken = [
            (row, column)
            for card in dashboard["dashcards"]
            for row in range(card["row"], card["row"] + card["size_y"])
            for column in range(card["col"], card["col"] + card["size_x"])
        ]
        assert len(taken) == len(set(taken))
        assert {column for _, column in taken} == set(range(12 * content.GRID_UNITS_PER_WIDTH))
