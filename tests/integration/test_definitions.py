"""What a user defines in seeds is checked before a build: each mistake is one sentence that says where it stands."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from parley.build import definitions
from parley.build.builds import BuildRequest, build
from parley.config import tracking_plan
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import database as warehouse
from parley.warehouse.database import Connection
from tests.support.warehouse import PROJECT

FUNNEL = "f,Funnel,*,user,ordered,60,,,,,"
STEPS = ("f,1,One,commerce.view,,", "f,2,Two,commerce.order_completed,,")


@pytest.fixture
def connection(database: Settings) -> Iterator[Connection]:
    with warehouse.connect(database, autocommit=True) as connection:
        tracking_plan.sync(connection, PROJECT / tracking_plan.FOLDER)
        yield connection


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose seeds a test may change."""
    for folder in ("models", "tracking_plan"):
        (tmp_path / folder).symlink_to(PROJECT / folder)
    shutil.copytree(PROJECT / "seeds", tmp_path / "seeds")
    return tmp_path


def add(project: Path, seed: str, *rows: str) -> None:
    with (project / "seeds" / f"{seed}.csv").open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def test_what_is_shipped_is_right_and_so_is_all_that_the_documentation_allows(
    connection: Connection, project: Path
) -> None:
    connection.execute(
        "insert into raw.load_batches (batch_id, tenant_id, load_id, received_at) values (1, 'landed', 1, now())"
    )
    definitions.check(connection, PROJECT)
    add(
        project,
        "funnel_definitions",
        "f,Funnel,landed,session,unordered,1,$.plan|channel,step,2,10,",
        'g,"G, too",*,user,strict,1,,,,,after',
        "h,Optional,*,user,ordered,1,$.plan,all_events,,,any",
    )
    add(project, "funnel_steps", *STEPS, 'g,1,One,commerce.view|cart.confirmed,"$.price > 5 && exists($.plan)",false')
    add(project, "funnel_steps", *(f"h,{step},S,commerce.view,,{str(1 < step < 20).lower()}" for step in range(1, 21)))
    add(project, "funnel_exclusions", "f,1,cart.confirmed,$.price > 5,1,2")
    add(
        project,
        "cohort_definitions",
        "d,D,*,first_time,commerce.view|cart.confirmed,$.price > 5,,,3,$.plan|channel,10,24,1,1,1",
    )
    add(project, "activity_definitions", "a,A,landed,commerce.view|kb.hit,$.price > 5")
    add(
        project, "segment_definitions", "vip,VIP,nordic-bank,revenue > 10 and user_id like 'v%'", "vip,VIP,*,orders > 3"
    )
    definitions.check(connection, project)


@pytest.mark.parametrize(
    ("seed", "rows", "told"),
    [
        ("funnel_definitions", [FUNNEL], "funnel_id: 'f' has no steps: add rows of it to funnel_steps.csv"),
        (
            "funnel_definitions",
            ["shop_purchase,Again,*,user,ordered,60,,,,,"],
            "funnel_id: 'shop_purchase' stands twice",
        ),
        (
            "funnel_definitions",
            ["f,Funnel,*,user,sorted,60,,,,,"],
            "step_order: 'sorted' .* ordered, strict or unordered",
        ),
        (
            "funnel_definitions",
            ["f,Funnel,*,visitor,ordered,60,,,,,"],
            "unit: 'visitor' .* user, conversation or session",
        ),
        (
            "funnel_definitions",
            ["f,Funnel,*,user,ordered,0,,,,,"],
            "window_seconds: '0' .* whole number greater than 0",
        ),
        ("funnel_definitions", ["f,Funnel,*,user,ordered,60,channel,middle,,,"], "breakdown_touch: 'middle'"),
        ("funnel_definitions", ["f,Funnel,nowhere,user,ordered,60,,,,,"], "tenant_id: there is no tenant 'nowhere'"),
        ("funnel_steps", ["f,1,One,commerce.view,,"], "funnel_id: funnel_definitions.csv has no 'f'"),
        (
            "funnel_steps",
            ["shop_purchase,5,More,commerce.view,,true"],
            "is_optional: only a step between the first and",
        ),
        ("funnel_steps", ["shop_purchase,6,More,commerce.view,,"], "step: 'shop_purchase' has no step 5: number them"),
        ("funnel_steps", ["shop_purchase,21,More,commerce.view,,"], "step: '21' .* a whole number from 1 to 20"),
        ("funnel_steps", ["shop_purchase,4,More,commerce.view,,"], "step: 'shop_purchase' with 4 stands twice"),
        (
            "funnel_steps",
            ["shop_purchase,5,More,commerce.vue,,"],
            "event_names: 'commerce.vue' .* `parley events list`",
        ),
        (
            "funnel_steps",
            ["shop_purchase,5,More,cart_confirmed,,"],
            "event_names: 'cart_confirmed' .* write cart.confirmed",
        ),
        ("funnel_steps", ["shop_purchase,5,More,commerce.view | kb.hit,,"], "event_names: .* and no spaces"),
        (
            "funnel_steps",
            ["shop_purchase,5,More,commerce.view,$.price >,"],
            "predicate: Postgres cannot use '[$].price >' ",
        ),
        (
            "funnel_steps",
            ["shop_purchase,5,More,commerce.view,$.price,"],
            "predicate: .*single boolean result is expected",
        ),
        ("funnel_exclusions", ["shop_purchase,1,cart.confirmed,,2,5"], "before_step: .* 'shop_purchase' has 4"),
        ("funnel_exclusions", ["shop_purchase,1,cart.confirmed,,2,2"], "before_step: .* the earlier one first"),
        ("funnel_exclusions", ["shop_purchase,2,cart.confirmed,,1,2"], "exclusion: 'shop_purchase' has no exclusion 1"),
        ("cohort_definitions", ["c,C,*,monthly,,,,,,,,,1,1,1"], "kind: 'monthly' .* first_time or recurring"),
        ("cohort_definitions", ["c,C,*,recurring,kb.hits,,,,,,,,1,1,1"], "cohort_event: 'kb.hits' is no event name"),
        ("cohort_definitions", ["c,C,*,recurring,,,,,,,,,1,-1,1"], "week_columns: '-1'"),
        (
            "cohort_definitions",
            ["c,C,*,recurring,,,commerce.view|kb.hits,,,,,,1,1,1"],
            "returning_event: 'kb.hits' is no",
        ),
        ("cohort_definitions", ["c,C,*,recurring,,$.price >,,,,,,,1,1,1"], "cohort_where: Postgres cannot use"),
        ("cohort_definitions", ["c,C,*,recurring,,,,$.price,,,,,1,1,1"], "returning_where: .*docs/cohorts.md"),
        ("cohort_definitions", ["c,C,*,recurring,,,,,0,,,,1,1,1"], "returning_minimum: '0'"),
        ("cohort_definitions", ["c,C,*,recurring,,,,,,plan,,,1,1,1"], "breakdown: 'plan' is not right: write channel"),
        ("cohort_definitions", ["c,C,*,recurring,,,,,,,3,,1,1,1"], "breakdown_limit: it limits the values"),
        ("cohort_definitions", ["c,C,*,recurring,,,,,,,,-1,1,1,1"], "hour_columns: '-1'"),
        (
            "cohort_definitions",
            ["c,C,*,recurring,,,,$.email == 1,,,,,1,1,1"],
            "returning_where: the attribute 'email' of",
        ),
        (
            "cohort_definitions",
            ["c,C,*,recurring,commerce.view,,,,,$.phone,,,1,1,1"],
            "breakdown: the attribute 'phone'",
        ),
        ("activity_definitions", ["first_order,A,*,kb.hit,"], "activity_id: 'first_order' is a cohort's id"),
        ("activity_definitions", ["a,A,*,,"], "event_names: any event is what"),
        ("activity_definitions", ["a,A,*,kb.hits,"], "event_names: 'kb.hits' is no event name"),
        ("activity_definitions", ["a,A,*,kb.hit,$.email == 1"], "predicate: the attribute 'email' of kb.hit is"),
        ("activity_definitions", ["a,A,*,kb.hit,$.price"], "predicate: .*single boolean result is expected"),
        ("segment_definitions", ["s,S,*,spent > 5"], 'predicate: .*column "spent" does not exist'),
        ("segment_definitions", ["s,S,*,orders"], "predicate: .*must be type boolean"),
        ("segment_definitions", ["s,S,*,true); drop table raw.loads; select (true"], "predicate: .*multiple commands"),
        ("experiment_variants", ["e,a,false,"], "is_control: 'e' has 0 controls"),
        ("experiment_variants", ["one_page_checkout,third,true,"], "is_control: 'one_page_checkout' has 2 controls"),
        ("experiment_metrics", ["e,m,mean,orders,,14"], "experiment: 'e' has no variants"),
        ("experiment_metrics", ["*,m,mean,funnel,,14"], "funnel_id: it belongs to the source funnel alone"),
        ("experiment_metrics", ["*,m,mean,funnel,question_to_resolution,14"], "funnel_id: .* of unit user"),
        ("gap_settings", ["nordic-bank,high,words"], "relevance_threshold: 'high' .* a number, 0 or more"),
        ("gap_settings", ["nordic-bank,0.5,bert"], "encoder: 'bert' .* words or sentences"),
        ("quality_weights", ["*,3,helpfulness,assistant_tone,1"], "rubric_version: '[*]' has another one above"),
        ("quality_weights", ["*,1,overall,resolution,1"], "signal: 'resolution' is no part of overall"),
        ("quality_settings", ["nordic-bank,0.6,0.6,0.6,6,3,0.6,3,3,3"], "low_politeness: '6' .* a number from 0 to 1"),
        ("retention_terms", ["raw.loads,*,5"], "table_name: 'raw.loads'"),
        ("alert_rules", ["nordic bank,*,true,warning,Mine,daily_metrics.x,,above,1,,,,,,,,,,,"], "rule_id"),
        ("politeness_lexicon", ["cheers,en,bot,polite"], "speaker: 'bot'"),
        ("roi_assumptions", ["nordic-bank,5,6,10,25,20,30,0.05,0.03,0.10"], "minutes_per_conversation: 5 is not from"),
    ],
)
def test_a_mistake_is_told_by_file_row_and_column(
    connection: Connection, project: Path, seed: str, rows: list[str], told: str
) -> None:
    number = len((project / "seeds" / f"{seed}.csv").read_text().splitlines()) + 1
    add(project, seed, *rows)
    with pytest.raises(ParleyError) as raised:
        definitions.check(connection, project)
    assert re.match(rf"{seed}\.csv, row {number}, {told}", str(raised.value)), raised.value


@pytest.mark.parametrize(
    "breakdown",
    ["channel,,,", "plan,first,,", "$.plan >,first,,", "$.plan,step,,", "$.plan,first,1,", "$.plan,step,3,", ",,,3"],
)
def test_a_breakdown_and_its_touch_belong_together(connection: Connection, project: Path, breakdown: str) -> None:
    add(project, "funnel_definitions", f"f,Funnel,*,user,ordered,60,{breakdown},")
    add(project, "funnel_steps", *STEPS)
    with pytest.raises(ParleyError, match=r"funnel_definitions\.csv, row 7, breakdown"):
        definitions.check(connection, project)


def test_settings_have_a_row_for_tenants_without_their_own(connection: Connection, project: Path) -> None:
    seed = project / "seeds" / "gap_settings.csv"
    seed.write_text(seed.read_text().replace("*,", "nordic-bank,"))
    with pytest.raises(ParleyError, match=r"gap_settings\.csv has no row for tenant_id \*"):
        definitions.check(connection, project)


def test_events_need_no_name_of_the_plan_where_a_tenant_admits_others(connection: Connection, project: Path) -> None:
    add(project, "cohort_definitions", "c,C,*,recurring,odd.event,,,,,,,,1,1,1")
    seed = project / "seeds" / "tenants.csv"
    seed.write_text(seed.read_text().replace("false,false,SEK", "false,true,SEK"))
    definitions.check(connection, project)


def test_events_are_those_of_the_definitions_own_tenant(connection: Connection, project: Path) -> None:
    connection.execute(
        "insert into raw.event_types (tenant_id, event_name, category, description, version, is_active,"
        " is_conversational, attributes_schema, origin)"
        " values ('nordic-bank', 'branch.visited', 'branch', 'A visit', 1, true, false, '{}', 'custom')"
    )
    add(project, "funnel_definitions", "f,Funnel,nordic-bank,user,ordered,60,,,,,")
    add(project, "funnel_steps", "f,1,One,branch.visited,,")
    add(project, "cohort_definitions", "c,C,*,recurring,branch.visited,,,,,,,,1,1,1")
    definitions.check(connection, project)
    add(project, "cohort_definitions", "d,D,salon-paris,recurring,branch.visited,,,,,,,,1,1,1")
    with pytest.raises(ParleyError, match=r"cohort_event: 'branch.visited' is no event name of the .* of salon-paris"):
        definitions.check(connection, project)


@pytest.mark.parametrize(
    ("predicate", "breakdown", "told"),
    [
        (
            '$.contact.email == "a"',
            "",
            "row .* predicate: the attribute 'contact.email' of commerce.view of nordic-bank is masked",
        ),
        ("exists($.items[*] ? (@.password != 1))", "", "predicate: the attribute 'items.password'"),
        ("", "channel|$.phone", "breakdown: the attribute 'phone'"),
        (
            "",
            "$.price",
            "breakdown: the attribute 'price' of commerce.view of nordic-bank is",
        ),
    ],
)
def test_what_privacy_takes_away_is_no_attribute_to_go_by(
    connection: Connection, project: Path, predicate: str, breakdown: str, told: str
) -> None:
    connection.execute(
        "insert into raw.event_types"
        " (tenant_id, event_name, category, description, version, is_active, is_conversational,"
        " attributes_schema, origin, privacy) values"
        """ ('nordic-bank', 'commerce.view', 'shop', 'A view', 1, true, false, '{}', 'custom', '{"price": "hash"}')"""
    )
    add(project, "funnel_definitions", "f,Funnel,salon-paris,user,ordered,60,$.price,first,,,")
    add(project, "funnel_steps", 'f,1,One,commerce.view,"$.price > 5 && $.category == ""email""",')
    definitions.check(connection, project)
    quoted = predicate.replace('"', '""')
    add(
        project,
        "funnel_definitions",
        f"g,Funnel,nordic-bank,user,ordered,60,{breakdown},{'first' if breakdown else ''},,,",
    )
    add(project, "funnel_steps", f'g,1,One,commerce.view,"{quoted}",')
    with pytest.raises(ParleyError, match=told):
        definitions.check(connection, project)


def test_a_build_does_not_begin_with_a_wrong_definition(
    database: Settings, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(project, "segment_definitions", "s,S,*,spent > 5")
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    with pytest.raises(ParleyError, match=r"segment_definitions\.csv, row 7, predicate"):
        build(Settings.load(), BuildRequest())


def test_the_signals_are_those_that_the_models_weigh() -> None:
    macro = (PROJECT / "macros/quality/scores.sql").read_text().partition("endmacro")[0]
    assert set(definitions.SIGNALS) | {*definitions.SCORES, "overall"} == set(re.findall(r"'(\w+)'", macro))


def test_a_seed_that_was_written_before_its_newest_columns_is_right(connection: Connection, project: Path) -> None:
    seed = project / "seeds" / "cohort_definitions.csv"
    seed.write_text(
        "cohort_id,name,tenant_id,kind,cohort_event,returning_event,day_columns,week_columns,month_columns\n"
        "c,C,*,recurring,,,1,1,1\n"
    )
    definitions.check(connection, project)
