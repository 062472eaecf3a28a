"""The input gate without a database: what its seed may say, and what failures come to."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from parley.errors import ParleyError
from parley.quality_gate import data_docs
from parley.quality_gate.bounds import Failure
from parley.quality_gate.expectations import COLUMNS, METRICS, SEED, Expectation, Severity, figure, fingerprint, read
from parley.quality_gate.measures import ranges
from parley.quality_gate.validation import DayResult, Finding, explanation, omission, still_released, word

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
PROJECT = Path(__file__).resolve().parents[2]


def expectation(name: str = "few_rejected", severity: Severity = "block", tenant: str = "*") -> Expectation:
    return Expectation(name, tenant, "rejected_share", None, 0.5, 100, severity, "Most was accepted")


def failure(name: str, severity: Severity, tenant: str = "shop") -> Failure:
    return Failure(DAY, tenant, "*", 0.7, expectation(name, severity))


def finding(name: str, severity: Severity, tenant: str = "shop") -> Finding:
    return Finding(DAY, name, tenant, "*", severity, "rejected_share", 0.7, None, 0.5, "Most was accepted")


def result(released: bool, tenant: str = "shop") -> DayResult:
    return DayResult(DAY, tenant, "blocked", 10, 10, 1, 0, 1, "", None, NOW, released_at=NOW if released else None)


def write_seed(folder: Path, *rows: str) -> Path:
    path = folder / SEED.name
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n")
    return path


def test_the_shipped_seed_blocks_warns_and_leaves_off() -> None:
    shipped = read(PROJECT / SEED)
    assert {each.severity for each in shipped} == {"block", "warn", "off"}
    assert {each.metric for each in shipped} <= METRICS.keys()


def test_a_row_is_read_with_blanks_as_no_bound(tmp_path: Path) -> None:
    path = write_seed(tmp_path, "busy,shop,events_of_full_day,10,,,warn,The shop is never closed")
    assert read(path) == (
        Expectation("busy", "shop", "events_of_full_day", 10, None, 0, "warn", "The shop is never closed"),
    )


@pytest.mark.parametrize(
    ("row", "column", "sentence"),
    [
        (",*,events,,5,,warn,x", "expectation", "a name such as"),
        ("a,(unknown),events,,5,,warn,x", "tenant_id", "a tenant's id, or *"),
        ("a,*,evnts,,5,,warn,x", "metric", "write wrong_columns, "),
        ("a,*,events,,many,,warn,x", "maximum", "a number such as 0.05"),
        ("a,*,events,,nan,,warn,x", "maximum", "a number such as 0.05"),
        ("a,*,events,,5,-1,warn,x", "at_least", "a whole number"),
        ("a,*,events,,5,,error,x", "severity", "block, warn or off"),
        ("a,*,events,,,,warn,x", "maximum", "neither a minimum nor a maximum"),
        ("a,*,events,6,5,,warn,x", "minimum", "above the maximum"),
        ("a,*,out_of_range,1,,,warn,x", "minimum", "counts what is wrong"),
        ("a,shop,unreadable_share,,1,,warn,x", "tenant_id", "of a day as a whole"),
        ("b,*,events,,9,,warn,x", "expectation", "stands twice"),
        ("a,*,unreadable_share,,0.2,100,block,x", "severity", "nothing to leave out"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(tmp_path: Path, row: str, column: str, sentence: str) -> None:
    path = write_seed(tmp_path, "b,*,events,,5,,warn,x", row)
    with pytest.raises(ParleyError) as error:
        read(path)
    assert str(error.value).startswith(f"input_expectations.csv, row 3, {column}: ")
    assert sentence in str(error.value)


def test_the_fingerprint_follows_what_is_expected_and_not_how_it_is_described() -> None:
    one, described = expectation(), Expectation("few_rejected", "*", "rejected_share", None, 0.5, 100, "block", "Other")
    assert fingerprint([one]) == fingerprint([described])
    assert fingerprint([one]) != fingerprint([expectation(severity="warn")])
    assert fingerprint([one, expectation("other")]) == fingerprint([expectation("other"), one])


def test_days_that_follow_one_another_are_one_range() -> None:
    days = [date(2026, 3, 1), date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 5), date(2026, 3, 1)]
    assert ranges(days) == [(date(2026, 2, 27), date(2026, 3, 1)), (date(2026, 3, 5), date(2026, 3, 5))]


def test_the_worst_failure_is_the_result() -> None:
    assert word([]) == "passed"
    assert word([failure("a", "warn")]) == "warned"
    assert word([failure("a", "warn"), failure("b", "block")]) == "blocked"


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ({("a", "shop", "*")}, True),  # fails as it did
        ({("a", "shop", "*"), ("b", "shop", "*")}, True),  # … in all ways it did
        ({("a", "shop", "*"), ("a", "bank", "*")}, False),  # another tenant
        ({("c", "shop", "*")}, False),  # another expectation: it only warned when the day was released
        (set(), False),  # blocked no more: there is nothing to release
    ],
)
def test_a_release_holds_while_the_day_fails_in_no_other_way(now: set[tuple[str, str, str]], holds: bool) -> None:
    then = [finding("a", "block"), finding("b", "block"), finding("c", "warn")]
    assert still_released(result(released=True), then, now) is holds
    assert not still_released(result(released=False), then, now)


def test_a_finding_says_what_is_out_of_which_bound() -> None:
    assert (figure("events", 10_000_000), figure("share_without_user", 0.0005)) == ("10,000,000", "0.05 %")
    assert str(finding("few_rejected", "block")) == "few_rejected (shop): rejected_share is 70 %, above 50 %"
    low = Finding(DAY, "busy", "*", "*", "warn", "events", 3, 10, None, "")
    assert str(low) == "busy: events is 3, below 10"


def test_an_explanation_names_the_day_and_the_way_out() -> None:
    said = explanation(
        [result(released=False, tenant="*")], [finding("columns", "block", "*"), finding("few", "block")]
    )
    assert "2026-11-20: columns: rejected_share is 70 %, above 50 %. The tables" in said
    assert "parley inputs release 2026-11-20 --reason" in said


def test_what_is_left_out_is_said_with_its_own_findings_and_the_way_out() -> None:
    found = [finding("few_rejected", "block"), finding("other", "warn"), finding("few_rejected", "block", "bank")]
    said = omission(result(released=False), found)
    assert (
        "of 2026-11-20, and all others are built: few_rejected (shop): rejected_share is 70 %, above 50 %. Fix" in said
    )
    assert "parley inputs release 2026-11-20 --tenant shop --reason" in said


def test_pages_of_old_validations_go_and_the_index_stays_in_step(tmp_path: Path) -> None:
    old = data_docs.write_page(tmp_path, "old", datetime(2026, 10, 1, tzinfo=UTC))
    new = data_docs.write_page(tmp_path, "new", NOW)
    data_docs.prune(tmp_path, 30, NOW)
    assert {path.name for path in tmp_path.iterdir()} == {new}
    days = [
        DayResult(DAY, "shop", "passed", 1, 1, 0, 0, 1, "", new, NOW),
        DayResult(date(2026, 10, 1), "shop", "blocked", 1, 1, 1, 0, 1, "", old, NOW, "ann", NOW, "<b>fine</b>"),
    ]
    data_docs.write_index(tmp_path, days)
    index = (tmp_path / "index.html").read_text()
    assert f'href="{new}"' in index
    assert old not in index
    assert "by ann: &lt;b&gt;fine&lt;/b&gt;" in index


def test_pages_that_name_a_tenant_go_with_it_and_those_of_tenants_with_a_longer_name_stay(tmp_path: Path) -> None:
    kept, gone = [
        data_docs.write_page(tmp_path, data_docs.page([validated], [], [], NOW), NOW + timedelta(seconds=number))
        for number, validated in enumerate(
            DayResult(DAY, tenant_id, "passed", 1, 1, 0, 0, 1, "", None, NOW) for tenant_id in ("shop-paris", "shop")
        )
    ]
    data_docs.forget(tmp_path, "shop", [])
    assert {path.name for path in tmp_path.iterdir()} == {kept, "index.html"}
    assert "shop" not in (tmp_path / "index.html").read_text()
    assert not (tmp_path / gone).exists()
