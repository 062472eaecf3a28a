"""Seeds: loaded when something changed, and never at the cost of what reads their tables."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parley.build.builds import BuildRequest, build
from parley.settings import Settings
from tests.conftest import TEMPLATE, database_copy
from tests.conftest import read_rows as rows
from tests.support.warehouse import copy_project, execute

SEEDS = BuildRequest(as_of=datetime(2026, 3, 1, tzinfo=UTC), select=("resource_type:seed",))
OLDER_VERSION = """
    -- as an older version had it: a column fewer, a column more, a narrower type
    alter table seeds.funnel_steps drop column is_optional;
    alter table seeds.funnel_steps add column colour text not null default 'red';
    alter table seeds.funnel_steps add column shade text;
    alter table seeds.funnel_steps alter column step type smallint;
    insert into seeds.funnel_steps (funnel_id, step, step_name, event_names) values ('gone', 1, 'gone', 'gone');
    -- what somebody has put on it
    create view seeds.own_view as select funnel_id, step, shade from seeds.funnel_steps;
    comment on view seeds.own_view is 'mine';
    comment on column seeds.own_view.step is 'a number';
    create schema own;
    create view own.deeper as
        select own_view.step + 1 as next_step, steps.step_name
        from seeds.own_view
        inner join seeds.funnel_steps as steps using (funnel_id, step);
    create role seed_reader;
    grant select on seeds.funnel_steps, own.deeper to seed_reader;
    alter table seeds.funnel_steps enable row level security;
    create policy some_rows on seeds.funnel_steps for select to seed_reader using (funnel_id = 'purchase');
"""


@pytest.fixture(scope="module")
def project(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of its own, with seeds in a database: dbt reads it for all of these tests."""
    folder = tmp_path_factory.mktemp("seeds")
    with pytest.MonkeyPatch.context() as environment, database_copy(server, TEMPLATE, environment, folder / "home"):
        environment.setenv("PARLEY_PROJECT", str(copy_project(folder / "project", [])))
        assert build(Settings.load(), SEEDS).is_good
        yield folder / "project"


def written() -> dict[str, str]:
    """The transaction that wrote each seed's rows."""
    return {
        str(table["name"]): str(rows(f"select max(xmin::text) as at from seeds.{table['name']}")[0]["at"])
        for table in rows("select table_name as name from information_schema.tables where table_schema = 'seeds'")
    }


def test_a_seed_is_loaded_when_its_file_or_its_table_changed(project: Path) -> None:
    first = written()
    assert build(Settings.load(), SEEDS).is_good
    assert written() == first

    terms = project / "seeds/quality_judges.csv"
    terms.write_text(f"{terms.read_text().strip()}\nsomebody\n")
    older = "cohort_id,name,tenant_id,kind,cohort_event,returning_event,day_columns,week_columns,month_columns"
    (project / "seeds/cohort_definitions.csv").write_text(f"{older}\nold,Old,*,recurring,,,1,1,1\n")
    execute("update seeds.holidays set name = 'spoiled'; delete from seeds.gap_settings")
    assert build(Settings.load(), SEEDS).is_good
    second = written()
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"quality_judges", "gap_settings", "cohort_definitions"} | (
        {"holidays"} if first["holidays"] != "None" else set()
    )
    assert rows("select count(*) as n from seeds.quality_judges where judge = 'somebody'") == [{"n": 1}]
    assert rows("select count(*) as n from seeds.holidays where name = 'spoiled'") == [{"n": 0}]
    cells = rows("select cohort_id, day_columns, returning_minimum, breakdown from seeds.cohort_definitions")
    assert cells == [{"cohort_id": "old", "day_columns": 1, "returning_minimum": None, "breakdown": None}]


def test_new_columns_leave_what_reads_the_table_in_place(project: Path) -> None:
    [shape] = rows("select array_agg(steps::text order by funnel_id, step) as all from seeds.funnel_steps as steps")
    execute(OLDER_VERSION)
    try:
        outcome = build(Settings.load(), replace(SEEDS, select=("funnel_steps",)))
        assert outcome.is_good, outcome.problems
        columns = "funnel_id, step, step_name, event_names, predicate, is_optional"
        assert (
            shape
            == rows(
                f"select array_agg(steps::text order by funnel_id, step) as all"
                f" from (select {columns} from seeds.funnel_steps) as steps"
            )[0]
        )
        assert rows(
            "select attname::text as name, format_type(atttypid, atttypmod) as type from pg_attribute"
            " where attrelid = 'seeds.funnel_steps'::regclass and attname in ('step', 'shade', 'colour')"
            " and not attisdropped order by 1"
        ) == [{"name": "shade", "type": "text"}, {"name": "step", "type": "integer"}]
        assert rows("select count(*) > 0 as kept from own.deeper") == [{"kept": True}]
        assert rows(
            "select has_table_privilege('seed_reader', 'seeds.funnel_steps', 'select') as on_table,"
            " has_table_privilege('seed_reader', 'own.deeper', 'select') as on_view,"
            " obj_description('seeds.own_view'::regclass) as mine,"
            " col_description('seeds.own_view'::regclass, 2) as step,"
            " (select relrowsecurity from pg_class where oid = 'seeds.funnel_steps'::regclass) as is_secured,"
            " (select count(*) from pg_policy where polrelid = 'seeds.funnel_steps'::regclass) as policies"
        ) == [
            {
                "on_table": True,
                "on_view": True,
                "mine": "mine",
                "step": "a number",
                "is_secured": True,
                "policies": 1,
            }
        ]
    finally:
        execute("drop owned by seed_reader; drop role seed_reader")


def test_a_full_refresh_keeps_it_too_and_what_does_not_fit_is_named(project: Path) -> None:
    execute("create view seeds.some_view as select judge from seeds.quality_judges")
    some = replace(SEEDS, select=("quality_judges", "quality_weights"))
    assert build(Settings.load(), replace(some, full_refresh=True)).is_good
    assert rows("select count(*) as n from seeds.some_view") == rows("select count(*) as n from seeds.quality_judges")

    execute(
        "drop view seeds.some_view; alter table seeds.quality_weights alter column weight type text using weight::text;"
        " create view seeds.some_view as select weight || 'x' as x from seeds.quality_weights where weight like '1%'"
    )
    outcome = build(Settings.load(), some)
    assert [problem.name for problem in outcome.problems] == ["quality_weights"]
    assert "seeds.some_view does not fit the new columns of seeds.quality_weights" in outcome.problems[0].reason
