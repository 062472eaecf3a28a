"""What `--select` names without dbt: the tables, seeds and checks that dbt would select."""

import pytest

from parley.build.plans import Check, Plan, Seed, Table, Unknown
from parley.build.selection import selected


def table(name: str, *upstream: str) -> Table:
    return Table(name, f"marts.{name}", is_rebuilt=True, upstream=upstream, reads_sources=False)


def check(name: str, *reads: str) -> Check:
    return Check(name, "select 1", False, "count(*)", "!= 0", "!= 0", reads, is_always_due=False, is_daily=False)


PLAN = Plan(
    tables=(
        table("events", "settings"),
        table("turns", "events"),
        table("topics", "turns", "analyses.topics"),
        table("daily", "turns"),
    ),
    checks=(check("turns_hold", "turns"), check("daily_fits_turns", "daily", "turns")),
    analyses={"analyses.topics": ("turns",)},
    views=("staging.tenants",),
    seeds=(Seed("settings", "seeds.settings", "seeds/settings.csv", "[]"),),
)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (("daily",), {"daily", "daily_fits_turns"}),
        (("daily events",), {"daily", "events", "daily_fits_turns"}),
        (("daily", "events"), {"daily", "events", "daily_fits_turns"}),
        (("+turns",), {"settings", "events", "turns", "turns_hold", "daily_fits_turns"}),
        (("turns+",), {"turns", "daily", "topics", "turns_hold", "daily_fits_turns"}),
        (("resource_type:model,+turns",), {"events", "turns", "turns_hold", "daily_fits_turns"}),
        (("+topics,resource_type:seed",), {"settings"}),
        (("daily,resource_type:test",), {"daily_fits_turns"}),
        (("resource_type:test",), {"turns_hold", "daily_fits_turns"}),
    ],
)
def test_names_kinds_and_what_is_around_them(
    monkeypatch: pytest.MonkeyPatch, selectors: tuple[str, ...], expected: set[str]
) -> None:
    monkeypatch.delenv("DBT_INDIRECT_SELECTION", raising=False)
    assert selected(PLAN, selectors) == expected


def test_checks_are_left_out_where_dbt_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_INDIRECT_SELECTION", "empty")
    assert selected(PLAN, ["turns"]) == {"turns"}
    assert selected(PLAN, ["resource_type:test"]) == {"turns_hold", "daily_fits_turns"}


@pytest.mark.parametrize("selector", ["tag:x", "tenants", "no_such_table", "resource_type:source", "@turns", "2+turns"])
def test_the_rest_is_left_to_dbt(selector: str) -> None:
    with pytest.raises(Unknown):
        selected(PLAN, ["daily", selector])
