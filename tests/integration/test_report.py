"""The report of a tenant: every figure on the page is that of the marts, and it reaches whom it is to reach, once."""

import csv
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest
from psycopg.rows import dict_row

from dagster_project.jobs import reports
from parley.config import report_recipients
from parley.errors import ParleyError
from parley.serving.report import sending
from parley.serving.report.contents import gather
from parley.serving.report.page import Page, render
from parley.serving.report.rows import Report
from parley.settings import Settings
from parley.warehouse import audit
from parley.warehouse import database as postgres
from tests.conftest import parley
from tests.support.receivers import mailbox, webhook

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

PROJECT = Path(__file__).parents[2]
WEEK, JUNE = (date(2025, 6, 23), date(2025, 6, 29)), (date(2025, 6, 1), date(2025, 6, 30))
DAYS = (date(2025, 6, 27), date(2025, 6, 28))
OTHERS = {"salon-paris", "shop-newyork", "voice-tokyo"}


class Found(HTMLParser):
    """What a page says: figures as `<data>` with their value and text, by id; images; elements that load something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, float] = {}
        self.texts: dict[str, str] = {}
        self.sections: dict[str, list[float]] = {}
        self.images: list[dict[str, str | None]] = []
        self.outside: list[str] = []
        self._section, self._open = "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("section", "table") and given.get("id"):
            self._section = given["id"] or ""
        if tag == "data":
            value = float(given["value"] or "nan")
            self.sections.setdefault(self._section, []).append(value)
            if name := given.get("id"):
                self.values[name], self.texts[name], self._open = value, "", name
        if tag == "img":
            self.images.append(given)
        if tag in ("script", "link", "iframe", "object") or any(
            re.match(r"(https?:)?//", given.get(name) or "") for name in ("src", "href")
        ):
            self.outside.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "data":
            self._open = ""


def read(query: str, *parameters: object) -> list[dict[str, Any]]:
    with psycopg.connect(options="-c timezone=UTC", row_factory=dict_row) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def page_of(
    settings: Settings, tenant: str = "nordic-bank", days: tuple[date, date] | None = None
) -> tuple[Report, Page]:
    report = gather(settings, tenant, days=days)
    return report, render(settings, report)


FROM_PERIODS = """
    select
        total_conversations, resolution_rate, escalation_rate, abandonment_rate, p50_response_time_ms, active_users,
        p95_response_time_ms, p99_response_time_ms, unique_customers, avg_rating, new_users
    from marts.period_metrics
    inner join marts.user_lifecycle using (tenant_id, period, period_start)
    where tenant_id = %s and period_start = %s and period_metrics.last_day = %s
"""


@pytest.mark.parametrize(("tenant", "days"), [("nordic-bank", WEEK), ("salon-paris", JUNE)])
def test_every_figure_of_a_week_or_month_is_that_of_the_marts(
    tenant: str, days: tuple[date, date], built: Settings
) -> None:
    found = Found(page_of(built, tenant, days)[1].html)
    [metrics] = read(FROM_PERIODS, tenant, *days)
    for name, value in metrics.items():
        shown = re.sub(r"(p\d\d)_response_time_ms", r"response_time_ms_\1", name)
        assert found.values.get(shown) == (None if value is None else float(value)), name
    assert found.texts["resolution_rate"] == f"{metrics['resolution_rate'] * 100:.1f}\u00a0%"
    [roi] = read("select savings from marts.roi where tenant_id = %s and period = 'month'", tenant)
    assert found.values["savings"] == roi["savings"]
    tools = read(
        "select sum(calls)::bigint as calls from marts.tool_metrics where tenant_id = %s and date between %s and %s"
        " group by tool_name",
        tenant,
        *days,
    )
    assert sorted(found.sections["calls"]) == sorted(tool["calls"] for tool in tools)
    steps = read(
        "select reached from marts.funnels where tenant_id = %s and period_start = %s and last_day = %s"
        " and breakdown_kind = 'all'",
        tenant,
        *days,
    )
    assert found.sections["funnels"]
    assert set(found.sections["funnels"]) <= {step["reached"] for step in steps}
    [booked] = read("select sum(confirmed) as confirmed from marts.booking_metrics where tenant_id = %s", tenant)
    assert (found.values.get("bookings_confirmed") or 0) == booked["confirmed"]  # left out without any booking
    [quality] = read(
        "select avg(overall_score)::double precision as score from marts.conversation_quality_scores"
        " where tenant_id = %s and started_on between %s and %s",
        tenant,
        *days,
    )
    assert found.values["overall_quality_score"] == quality["score"]


def test_retention_is_a_triangle_of_the_last_cohorts_with_most_customers(built: Settings) -> None:
    cells = [(start, index) for start in range(10) for index in range(10 - start)]
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(
            """
            insert into marts.cohort_retention
            select (jsonb_populate_record(one.existing, jsonb_build_object(
                'cohort_id', 'mine', 'cohort_name', 'Mine', 'cohort_start', dated.cohort_start, 'period_index', index,
                'period_start', dated.cohort_start + 7 * index, 'is_complete', true, 'cohort_size', 1000 + start,
                'retention_rate', (100 - 10 * index - start) / 100.0
            ))).*
            from (
                select existing from marts.cohort_retention as existing
                where tenant_id = 'nordic-bank' and period = 'week' limit 1
            ) as one
            cross join unnest(%s::integer[], %s::integer[]) as cell (start, index)
            cross join lateral (select %s::date - 7 * (9 - start) as cohort_start) as dated
            """,
            [[start for start, _ in cells], [index for _, index in cells], WEEK[0]],
        )
    report, page = page_of(built)
    assert {cell.cohort_name for cell in report.retention} == {"Mine"}
    shown = Found(page.html).sections["retention"]
    assert shown == [(100 - 10 * index - start) / 100 for start, index in cells if start > 1 and index > 0]


def test_every_figure_of_other_days_is_added_up_from_the_marts(built: Settings) -> None:
    with psycopg.connect(autocommit=True) as connection:  # the small demo has no order
        connection.execute(
            "update marts.commerce_metrics set orders = 2, revenue = 120.5"
            " where tenant_id = 'shop-newyork' and date between %s and %s",
            DAYS,
        )
    report, page = page_of(built, "shop-newyork", DAYS)
    found = Found(page.html)
    of_days = "from marts.{} where tenant_id = 'shop-newyork' and date between %s and %s"
    [sums] = read(
        "select sum(total_conversations) as total, sum(resolved_conversations) as resolved "
        + of_days.format("daily_metrics"),
        *DAYS,
    )
    [shop] = read("select sum(orders) as orders, sum(revenue) as revenue " + of_days.format("commerce_metrics"), *DAYS)
    assert found.values["total_conversations"] == sums["total"]
    assert found.values["resolution_rate"] == pytest.approx(sums["resolved"] / sums["total"])
    assert (found.values["orders"], found.values["revenue"]) == (shop["orders"], float(shop["revenue"]))
    [exact] = read(
        "select percentile_disc(0.95) within group (order by duration_ms) as p95 from facts.responses"
        " where tenant_id = 'shop-newyork' and responded_on between %s and %s",
        *DAYS,
    )
    assert found.values["response_time_ms_p95"] == pytest.approx(exact["p95"], rel=0.011)
    assert not {"active_users", "unique_customers"} & found.values.keys(), "the same person on two days is one"
    assert "counted by week and by month" in page.html
    assert [day.date for day in report.days] == [DAYS[0], DAYS[1]]
    daily = read("select date, dau " + of_days.format("active_users"), *DAYS)
    assert {day.date: day.active_users for day in report.days if day.active_users} == {
        row["date"]: row["dau"] for row in daily if row["dau"]
    }


def test_what_landed_and_was_rejected_stands_under_the_days_it_came_in(built: Settings) -> None:
    [landed] = read("select * from marts.event_reconciliation where tenant_id = 'nordic-bank'")
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(
            "insert into raw.rejected_events (load_id, batch_id, tenant_id, received_at, reason, message)"
            " select 1, 1, tenant, received_at, reason, 'The sentence of ' || reason from raw.load_batches"
            " inner join (values ('nordic-bank', 'too_old'), ('nordic-bank', 'too_old'), ('nordic-bank', 'invalid'),"
            " ('salon-paris', 'invalid')) as refused (tenant, reason) on tenant = tenant_id"
        )
    _, page = page_of(built, days=(landed["date"], landed["date"]))
    found = Found(page.html)
    shown = {name: found.values[name] for name in ("received", "accepted", "rejected")}
    assert shown == {name: landed[name] for name in shown}
    assert found.sections["refusals"] == [2, 1]
    assert "The sentence of too_old" in page.html
    assert "had no conversation in these days" in page.text
    assert not found.images, "no chart of nothing"


def test_alerts_and_anomalies_stand_before_the_figures(built: Settings) -> None:
    [firing] = read("select detail from marts.alerts where tenant_id = 'nordic-bank' and is_firing limit 1")
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(
            "update marts.input_anomalies set observed = 3, expected = 40, score = -9, is_anomaly = true,"
            " severity = 'critical' where event_name = 'kb.search' and metric = 'events' and date in (%s, %s)",
            [WEEK[1], JUNE[1]],
        )
    html = page_of(built)[1].html
    assert html.index(firing["detail"]) < html.index('id="figures"')
    assert Found(html).sections["anomalies"] == [3.0]
    assert "Nothing was out of the usual" not in html


def test_the_page_needs_nothing_else_and_the_command_writes_the_same_bytes(built: Settings, tmp_path: Path) -> None:
    _, page = page_of(built)  # the last whole week
    found = Found(page.html)
    assert found.outside == []
    assert "url(" not in page.html
    assert "@import" not in page.html
    assert len(found.images) == 4
    assert all((image["src"] or "").startswith("data:image/svg+xml;base64,") for image in found.images)
    assert all(len(image["alt"] or "") > 40 for image in found.images)
    assert "23–29 June 2025" in page.html
    target = tmp_path / "week.html"
    done = parley("report", "--tenant", "nordic-bank", "--output", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == page.html.encode()


def test_a_report_is_the_same_without_the_other_tenants(built: Settings) -> None:
    before = page_of(built)[1]
    with psycopg.connect(autocommit=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.columns"
            " inner join information_schema.tables using (table_schema, table_name)"
            " where column_name = 'tenant_id' and table_type = 'BASE TABLE' and table_schema in ('marts', 'raw', 'ops')"
        ).fetchall()
        for schema, table in tables:
            connection.execute(
                psycopg.sql.SQL("delete from {} where tenant_id <> 'nordic-bank'").format(
                    psycopg.sql.Identifier(schema, table)
                )
            )
    assert len(tables) > 30
    assert page_of(built)[1].html == before.html


def test_a_mistake_is_told_in_a_sentence(built: Settings) -> None:
    done = parley("report", "--tenant", "nordic-bank", "--from", "2025-06-28")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "parley: Give both --from and --to, or neither for the last whole week.\n"
    with pytest.raises(ParleyError, match=r"no tenant 'nobody' in what is built: take one of nordic-bank, salon-paris"):
        gather(built, "nobody")
    with pytest.raises(ParleyError, match="--from 2025-06-28 is after --to 2025-06-27"):
        gather(built, "nordic-bank", days=(DAYS[1], DAYS[0]))
    with pytest.raises(ParleyError, match="Nobody is to get the report of 'nordic-bank'"):
        sending.send_due(built, tenant="nordic-bank")


def test_a_report_before_any_build_says_what_to_do(database: Settings) -> None:
    with pytest.raises(ParleyError, match="run `parley build`"):
        gather(database, "nordic-bank")


def with_recipients(folder: Path, environment: pytest.MonkeyPatch, *rows: str) -> Settings:
    """The project, with reports that go where these rows say."""
    (folder / "seeds").mkdir(parents=True)
    for name in ("models", "seeds/tenants.csv"):
        (folder / name).symlink_to(PROJECT / name)
    with (folder / report_recipients.SEED).open("w", newline="") as file:
        csv.writer(file).writerows([("tenant_id", "period", "channels"), *(row.split(",") for row in rows)])
    environment.setenv("PARLEY_PROJECT", str(folder))
    return Settings.load()


def test_a_mail_shows_the_report_and_holds_it_and_is_sent_once(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_recipients(tmp_path / "project", monkeypatch, "nordic-bank,week,boss")
    with mailbox() as (url, mails):
        monkeypatch.setenv("PARLEY_CHANNEL_BOSS", url)
        [delivery] = sending.send_due(settings, actor="anna")
        assert (delivery.tenant_id, delivery.period.first, delivery.problem) == ("nordic-bank", WEEK[0], None)
        assert sending.send_due(settings) == []
        assert len(mails) == 1
        assert len(sending.send_due(settings, tenant="nordic-bank", again=True)) == 1
    [mail, same] = mails
    assert mail["Idempotency-Key"] == same["Idempotency-Key"]
    parts = list(mail.walk())
    [html] = [part for part in parts if part.get_content_type() == "text/html" and not part.get_filename()]
    body = html.get_payload(decode=True)
    assert isinstance(body, bytes)
    found = Found(body.decode())
    images = {part["Content-ID"]: part.get_payload(decode=True) for part in parts if part["Content-ID"]}
    assert {f"<{(image['src'] or '').removeprefix('cid:')}>" for image in found.images} == images.keys()
    assert all(isinstance(image, bytes) and image.startswith(b"\x89PNG") for image in images.values())
    assert len(body) < 100_000, "Gmail cuts longer ones"
    [attached] = [part for part in parts if (part.get_filename() or "").endswith(".html")]
    report, page = page_of(settings)
    assert attached.get_filename() == sending.file_name(report) == "nordic-bank-2025-06-23-2025-06-29.html"
    assert attached.get_payload(decode=True) == page.html.encode()
    assert found.values == Found(page.html).values
    with postgres.connect(settings) as connection:
        [_, entry] = audit.latest(connection, 2, "report.sent", "nordic-bank")
    assert (entry.actor, entry.details["channel"], entry.details["first"]) == ("anna", "boss", "2025-06-23")


def test_what_fails_stops_nothing_else_and_is_tried_again_by_the_schedule(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_recipients(tmp_path / "project", monkeypatch, "*,week,nowhere|hook", *(f"{name},week," for name in OTHERS))
    with webhook() as hook:
        monkeypatch.setenv("PARLEY_CHANNEL_HOOK", hook.url)
        with dg.instance_for_test() as instance:
            failed = reports.execute_in_process(instance=instance, raise_on_error=False)
            assert not failed.success
            [post] = hook.posts
            assert post["title"] == "Nordic Bank: 23–29 June 2025"
            assert "The whole report is attached." in post["message"]
            assert [file["filename"] for file in post["attachments"]] == ["nordic-bank-2025-06-23-2025-06-29.html"]
            monkeypatch.setenv("PARLEY_CHANNEL_NOWHERE", hook.url)
            assert reports.execute_in_process(instance=instance).success
    assert len(hook.posts) == 2


def test_a_report_is_due_from_the_morning_after_on_the_tenants_clock(
    built: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_recipients(tmp_path / "project", monkeypatch, "voice-tokyo,week,hook", "voice-tokyo,month,hook")

    def sent_at(as_of: str) -> list[tuple[str | None, date]]:
        with psycopg.connect(autocommit=True) as connection:
            connection.execute("update ops.builds set as_of = %s", [as_of])
        return [(delivery.period.kind, delivery.period.first) for delivery in sending.send_due(settings)]

    with webhook() as hook:
        monkeypatch.setenv("PARLEY_CHANNEL_HOOK", hook.url)
        assert sent_at("2025-06-29T20:59:00Z") == [("week", date(2025, 6, 16)), ("month", date(2025, 5, 1))]
        assert sent_at("2025-06-29T21:00:00Z") == [("week", WEEK[0])]  # six o'clock on Monday in Tokyo
        assert sent_at("2025-07-06T12:00:00Z") == [("month", JUNE[0])]
    assert len(hook.posts) == 4


def test_it_fits_a_telephone_and_a_sheet_of_paper(built: Settings, page: "Tab") -> None:
    rendered = page_of(built, "shop-newyork", JUNE)[1]
    page.set_viewport_size({"width": 375, "height": 800})
    page.set_content(rendered.html)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.pdf(format="A4").startswith(b"%PDF")
