"""Which days a report is of, how it writes figures, and who is to get it."""

import unicodedata
from datetime import date
from pathlib import Path

import pytest

from parley.config import report_recipients
from parley.config.report_recipients import Recipient
from parley.errors import ParleyError
from parley.serving.report import formats, periods, sending
from parley.serving.report.periods import Period

SATURDAY, SUNDAY, MONDAY = date(2026, 11, 14), date(2026, 11, 15), date(2026, 11, 16)


@pytest.mark.parametrize(
    ("today", "week_start", "first"),
    [
        (MONDAY, "monday", date(2026, 11, 9)),
        (SUNDAY, "monday", date(2026, 11, 2)),  # the week that ends today is not over
        (SUNDAY, "sunday", date(2026, 11, 8)),
        (SATURDAY, "sunday", date(2026, 11, 1)),
        (MONDAY, "saturday", date(2026, 11, 7)),
    ],
)
def test_the_last_week_is_the_tenants_and_over(today: date, week_start: str, first: date) -> None:
    period = periods.last_whole("week", today, week_start)
    assert (period.first, period.days, period.kind) == (first, 7, "week")
    assert period == periods.of_days(period.first, period.last, week_start)


def test_the_last_month_is_over_and_compared_with_the_month_before() -> None:
    period = periods.last_whole("month", date(2026, 4, 1), "monday")
    assert period == Period(date(2026, 3, 1), date(2026, 3, 31), "month")
    assert period.before == Period(date(2026, 2, 1), date(2026, 2, 28), "month")
    assert period.before == periods.of_days(date(2026, 2, 1), date(2026, 2, 28), "sunday")  # four weeks, and a month
    assert (period.name, period.noun) == ("March 2026", "month")


@pytest.mark.parametrize(
    ("first", "last", "name", "noun", "before"),
    [
        (date(2026, 11, 3), date(2026, 11, 4), "3–4 November 2026", "2 days", date(2026, 11, 1)),
        (date(2026, 10, 30), date(2026, 11, 2), "30 October – 2 November 2026", "4 days", date(2026, 10, 26)),
        (date(2025, 12, 30), date(2026, 1, 2), "30 December 2025 – 2 January 2026", "4 days", date(2025, 12, 26)),
        (date(2026, 11, 3), date(2026, 11, 3), "3 November 2026", "day", date(2026, 11, 2)),
    ],
)
def test_other_days_are_compared_with_as_many_before(
    first: date, last: date, name: str, noun: str, before: date
) -> None:
    period = periods.of_days(first, last, "monday")
    assert (period.kind, period.name, period.noun) == (None, name, noun)
    assert (period.before.first, period.before.days) == (before, period.days)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.share(0.70212), "70.2 %"),
        (formats.share(1), "100 %"),
        (formats.share(None), "–"),
        (formats.duration(999.4), "999 ms"),
        (formats.duration(999.6), "1.00 s"),
        (formats.duration(12_345), "12 s"),
        (formats.duration(90_000), "1.5 min"),
        (formats.duration(8 * 3_600_000), "8.0 h"),
        (formats.duration(60 * 3_600_000), "2.5 days"),
        (formats.count(1234), "1,234"),
        (formats.money(1234.5, "EUR"), "1,234 EUR"),
        (formats.money(12.5, "EUR"), "12.50 EUR"),
        (formats.money(-0.00426, "EUR"), "-0.0043 EUR"),
        (formats.money(0.0099, "EUR"), "0.0099 EUR"),
        (formats.money(0.000999, "EUR"), "0.00100 EUR"),
        (formats.money(0, "EUR"), "0 EUR"),
        (formats.change(47, 49), "−4 %"),
        (formats.change(5, 0), "–"),
        (formats.change(100_001, 100_000), "the same"),
        (formats.points(0.702, 0.653), "+4.9 points"),
        (formats.difference(0.62, 0.66), "−0.04"),
    ],
)
def test_figures_are_written_with_their_units(written: str, expected: str) -> None:
    assert written.replace(formats.SPACE, " ") == expected


def read(folder: Path, *rows: str) -> list[Recipient]:
    path = folder / "report_recipients.csv"
    path.write_text("\n".join(("tenant_id,period,channels", *rows)) + "\n")
    return report_recipients.read(path)


def test_a_tenants_own_rows_replace_those_of_all(tmp_path: Path) -> None:
    listed = read(tmp_path, "*,week,team|boss", "shop,month,owner", "bank,week,")
    assert report_recipients.for_tenant(listed, "salon") == [Recipient("*", "week", ("team", "boss"))]
    assert report_recipients.for_tenant(listed, "shop") == [Recipient("shop", "month", ("owner",))]
    assert report_recipients.channels(report_recipients.for_tenant(listed, "bank")) == set()


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("*,year,team", "row 2, period: 'year' is not right: write week or month"),
        (",week,team", "row 2, tenant_id: it is blank: write a tenant's id, or"),
        ("*,week,team |boss", "row 2, channels: 'team |boss' is not right"),
    ],
)
def test_a_mistake_in_the_seed_is_told_with_its_place(row: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match=r"report_recipients\.csv") as told:
        read(tmp_path, row)
    assert what in str(told.value)


def test_the_files_of_no_two_tenants_have_the_same_name() -> None:
    known = ["a b", "a|b", "a_b", "A_B", "a/b", "../a_b", "é", "e\u0301", "ﬁ", "fi", "..", "shop", "Shop"]
    known += [sending.in_files(tenant_id) for tenant_id in known if sending.in_files(tenant_id) != tenant_id]
    names = [unicodedata.normalize("NFC", sending.in_files(tenant_id)).casefold() for tenant_id in known]
    assert len(set(names)) == len(known)
    assert not any("/" in name for name in names)
    assert sending.in_files("salon-paris") == "salon-paris"
