"""A tenant's login against everybody else's rows through Superset: chart data, SQL Lab, exports (docs/security.md).

Each attack has a twin of the same form that asks for nothing forbidden and must return the attacker's own rows, so that
no attack passes because its request was wrong. Where an attack is stopped and not just answered with own rows, it says
by which words.

Needs `.venv-bi`: `make test-bi` runs it. The attacker has all that Superset can give without being an administrator.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dashboards import source
from dashboards.superset import serve
from parley.warehouse import database
from tests.e2e.test_superset import PASSWORD, Superset, superset

__all__ = ["superset"]

pytestmark = [pytest.mark.bi, pytest.mark.timeout(900)]

DATASETS = source.Source().datasets
OWN, OTHERS = "salon-paris", ("nordic-bank", "voice-tokyo", "shop-newyork")
IS_OWN, ANYTHING = f"tenant_id = '{OWN}'", "1 = 1 or 1 = 1"
NEXT = "nextval('ab_user_role_id_seq')"  # Superset numbers them itself
OVERVIEW = "select tenant_id from marts.tenants_overview"
ALL_TENANTS = "(select string_agg(tenant_id, ',') from marts.tenants_overview)"
WORDS = "ts_stat('select to_tsvector(''simple'', tenant_id) from marts.tenants_overview')"
ALL_WORDS = f"(select string_agg(word, ',') from {WORDS})"
AS_XML = f"query_to_xml('{OVERVIEW}', true, true, '')"


class Asked:
    """Superset's API, as somebody who has signed in, in a browser's way: more is open to it than to a token."""

    def __init__(self, url: str, user: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, headers={"Referer": url})
        form = re.search(r'csrf_token"[^>]*value="([^"]+)"', self.http.get("/login/").text)
        assert form
        self.http.post("/login/", data={"username": user, "password": PASSWORD, "csrf_token": form[1]})
        self.http.headers["X-CSRFToken"] = self.http.get("/api/v1/security/csrf_token/").json()["result"]

    def chart(
        self, dataset: int, result_format: str = "json", result_type: str = "full", **query: Any
    ) -> httpx.Response:
        asked = {"row_limit": 1000, "columns": ["tenant_id"], "metrics": [], "filters": [], "extras": {}, **query}
        return self.http.post(
            "/api/v1/chart/data",
            json={
                "datasource": {"id": dataset, "type": "table"},
                "queries": [asked],
                "result_format": result_format,
                "result_type": result_type,
                "force": True,
            },
        )

    def sql(self, number: int, query: str, client_id: str | None = None) -> httpx.Response:
        """SQL Lab's answer. Superset runs no second query of the same `client_id`."""
        asked = {"database_id": number, "sql": query, "runAsync": False, "queryLimit": 1000}
        return self.http.post("/api/v1/sqllab/execute/", json={**asked, "client_id": client_id or new_id()})


def new_id() -> str:
    return uuid4().hex[:11]


@pytest.fixture(scope="module")
def numbers(superset: Superset) -> dict[str, int]:
    """The numbers of the datasets that are attacked, and of the database; anna may do more than `login.py` lets her."""
    with database.connect(superset.settings, database=serve.metadata(superset.settings)) as connection:
        connection.execute(
            f"insert into ab_user_role (id, user_id, role_id) select {NEXT}, ab_user.id, ab_role.id"
            " from ab_user, ab_role"
            " where ab_user.username = 'anna' and ab_role.name in ('Alpha', 'sql_lab')".encode()
        )
        found = connection.execute("select table_name::text, id::int from tables").fetchall()
        row = connection.execute("select id::int from dbs where database_name = 'Parley'").fetchone()
    assert row
    return {**dict(found), "Parley": row[0]}  # type: ignore[dict-item, arg-type]


@pytest.fixture(scope="module")
def anna(superset: Superset, numbers: dict[str, int]) -> Iterator[Asked]:
    asked = Asked(superset.url, "anna")
    with closing(asked.http):
        yield asked


@pytest.fixture(scope="module")
def bruno(superset: Superset) -> Iterator[Asked]:
    """Somebody of another tenant, as `login.py` has made him."""
    asked = Asked(superset.url, "bruno")
    with closing(asked.http):
        yield asked


@pytest.fixture(scope="module")
def admin(superset: Superset) -> Iterator[Asked]:
    asked = Asked(superset.url, "admin")
    with closing(asked.http):
        yield asked


def as_column(expression: str) -> dict[str, str]:
    return {"expressionType": "SQL", "sqlExpression": expression, "label": "asked"}


def tells_of_others(answer: httpx.Response) -> list[str]:
    return [tenant for tenant in OTHERS if tenant in answer.text]


def test_a_chart_of_any_dataset_counts_her_own_rows_and_no_others(
    superset: Superset, anna: Asked, numbers: dict[str, int]
) -> None:
    counted = {
        name: superset.rows(
            f"select count(*) filter (where {IS_OWN})::int, count(*) filter (where not {IS_OWN})::int"
            f" from ({dataset.sql}) as own"
        )[0]
        for name, dataset in DATASETS.items()
    }
    assert sum(own > 0 and others > 0 for own, others in counted.values()) > len(DATASETS) // 2
    for name, (own, _) in counted.items():
        [result] = anna.chart(numbers[name], metrics=[as_column("count(*)")]).json()["result"]
        assert result["data"] == ([{"tenant_id": OWN, "asked": own}] if own else []), name


@dataclass(frozen=True)
class Attack:
    """What an attacker sends, and its twin."""

    hostile: Any
    twin: Any
    stopped_by: str | None = None
    """What the answer says where it has no rows; None: it has hers."""


CHARTS = {
    "where": Attack({"extras": {"where": f"({ANYTHING})"}}, {"extras": {"where": f"({IS_OWN})"}}),
    "having": Attack(
        {"extras": {"having": ANYTHING}, "metrics": [as_column("count(*)")]},
        {"extras": {"having": "count(*) > 0"}, "metrics": [as_column("count(*)")]},
    ),
    "filter": Attack(
        {"filters": [{"col": as_column(ANYTHING), "op": "IS TRUE"}]},
        {"filters": [{"col": as_column(IS_OWN), "op": "IS TRUE"}]},
    ),
    "subquery": Attack(
        {"metrics": [as_column(ALL_TENANTS)], "columns": []},
        {"metrics": [as_column("string_agg(tenant_id, ',')")], "columns": []},
        "sub-queries",
    ),
    "statistics of texts": Attack(
        {"metrics": [as_column(ALL_WORDS)], "columns": []},
        {"metrics": [as_column("string_agg(tenant_id, ',')")], "columns": []},
        "sub-queries",
    ),
    "a query as text": Attack(
        {"columns": [as_column(f"{AS_XML}::text")]},
        {"columns": [as_column("concat(tenant_id, '')::text")]},
        "permission denied for function",
    ),
    "a table as text": Attack(
        {"columns": [as_column("table_to_xml('marts.tenants_overview'::regclass, true, true, '')::text")]},
        {"columns": [as_column("concat(tenant_id, '')::text")]},
        "permission denied for function",
    ),
    "a file": Attack(
        {"columns": [as_column("pg_read_file('base/1/PG_VERSION')")]},
        {"columns": [as_column("concat(tenant_id, '')")]},
        "permission denied for function",
    ),
}


@pytest.mark.parametrize("dataset", ["conversations", "daily_metrics", "tenants_overview", "alerts"])
@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("result_format", ["json", "csv"])
def test_no_chart_tells_of_another_tenant(
    anna: Asked, numbers: dict[str, int], dataset: str, name: str, result_format: str
) -> None:
    attack = CHARTS[name]
    _check(attack, *(anna.chart(numbers[dataset], result_format, **query) for query in (attack.hostile, attack.twin)))


def _check(attack: Attack, hostile: httpx.Response, twin: httpx.Response) -> None:
    assert _has_her_rows_only(twin), twin.text[:500]
    if attack.stopped_by is None:
        assert _has_her_rows_only(hostile), hostile.text[:500]
    else:
        assert tells_of_others(hostile) == []
        assert OWN not in hostile.text
        assert attack.stopped_by in hostile.text, hostile.text[:500]


def _has_her_rows_only(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and OWN in answer.text and tells_of_others(answer) == []


@pytest.mark.parametrize("result_type", ["samples", "drill_detail", "results", "post_processed"])
def test_no_other_result_of_a_chart_does(anna: Asked, numbers: dict[str, int], result_type: str) -> None:
    assert _has_her_rows_only(anna.chart(numbers["tenants_overview"], result_type=result_type))


def test_no_sample_and_no_list_of_values_does(anna: Asked, numbers: dict[str, int]) -> None:
    number = numbers["tenants_overview"]
    asked = f"force=true&datasource_type=table&datasource_id={number}&per_page=50&page=1"
    assert _has_her_rows_only(anna.http.post(f"/datasource/samples?{asked}", json={}))
    assert _has_her_rows_only(anna.http.get(f"/api/v1/datasource/table/{number}/column/tenant_id/values/"))


COUNTS = "select tenant_id, count(*) as n from facts.conversations"
OWN_OVERVIEW = f"{OVERVIEW} where {IS_OWN}"
SQL = {
    "all": Attack(f"{COUNTS} group by 1", f"{COUNTS} where {IS_OWN} group by 1"),
    "or": Attack(f"{OVERVIEW} where {ANYTHING}", OWN_OVERVIEW),
    "subquery": Attack(f"select {ALL_TENANTS}", f"select ({OWN_OVERVIEW})"),
    "union": Attack(f"{OVERVIEW} union all {OVERVIEW}", f"{OWN_OVERVIEW} union all {OWN_OVERVIEW}"),
    "several": Attack(f"select 1; {OVERVIEW}", f"select 1; {OWN_OVERVIEW}"),
    "template": Attack(
        "select '{{ dataset(1) }}' as said, tenant_id from marts.tenants_overview",
        f"select '{{{{ 1 }}}}' as said, tenant_id from marts.tenants_overview where {IS_OWN}",
    ),
    "role": Attack("set role {reader}; " + OVERVIEW, f"set lock_timeout = 100; {OWN_OVERVIEW}", "permission denied"),
    "role by a function": Attack(
        "select set_config('role', '{reader}', false), " + ALL_TENANTS,
        f"select set_config('lock_timeout', '100', false), ({OWN_OVERVIEW})",
        "permission denied",
    ),
    "session": Attack(
        "set session authorization '{reader}'; " + OVERVIEW,
        f"set lock_timeout = 100; {OWN_OVERVIEW}",
        "permission denied",
    ),
    "row security off": Attack(
        f"set row_security = off; {OVERVIEW}",
        f"set row_security = on; {OWN_OVERVIEW}",
        "would be affected by row-level security",
    ),
    "statistics": Attack(
        "select most_common_vals::text from pg_stats where tablename = 'conversations'",
        f"select '{OWN}', most_common_vals::text from pg_stats right join (select 1) as one on tablename = 'pg_class'",
        '"data": []',
    ),
    "sessions": Attack("select query from pg_stat_activity", OWN_OVERVIEW, "disallowed table"),
    "sessions by a function": Attack(
        "select query from pg_stat_get_activity(null)",
        f"select query, '{OWN}' from pg_stat_get_activity(pg_backend_pid())",
        "<insufficient privilege>",
    ),
    "roles": Attack("select * from ops.tenant_roles", OWN_OVERVIEW, "permission denied"),
    "landed": Attack("select * from raw.events", OWN_OVERVIEW, "permission denied"),
    "staged": Attack("select tenant_id from staging.stg_events", OWN_OVERVIEW, "permission denied"),
    "a query as text": Attack(f"select {AS_XML}", f"select concat(({OWN_OVERVIEW}))", "disallowed function"),
    "statistics of texts": Attack(f"select {ALL_WORDS}", f"select concat(({OWN_OVERVIEW}))", "permission denied"),
    "a file": Attack("copy marts.tenants_overview to program 'cat'", OWN_OVERVIEW, "error"),
    "a table": Attack(f"create table taken as {OVERVIEW}", OWN_OVERVIEW, "does not allow"),
    "a view": Attack(f"create view marts.taken as {OVERVIEW}", OWN_OVERVIEW, "does not allow"),
    "code": Attack("do $$ begin raise exception 'x'; end $$", OWN_OVERVIEW, "does not allow"),
}


@pytest.mark.parametrize("name", SQL)
def test_sql_lab_tells_of_no_other_tenant(superset: Superset, anna: Asked, numbers: dict[str, int], name: str) -> None:
    attack = SQL[name]
    [(database_name,)] = superset.rows("select current_database()::text")
    hostile, twin = new_id(), new_id()
    _check(
        attack,
        anna.sql(numbers["Parley"], attack.hostile.replace("{reader}", f"{database_name}_reader"), hostile),
        anna.sql(numbers["Parley"], attack.twin, twin),
    )
    for export in (anna.http.get(f"/api/v1/sqllab/export/{hostile}/"), _streamed(anna, hostile)):
        assert tells_of_others(export) == []
    assert _has_her_rows_only(anna.http.get(f"/api/v1/sqllab/export/{twin}/"))


def _streamed(asked: Asked, client_id: str) -> httpx.Response:
    return asked.http.post("/api/v1/sqllab/export_streaming/", data={"client_id": client_id})


def test_sql_lab_and_charts_show_her_own_rows(superset: Superset, anna: Asked, numbers: dict[str, int]) -> None:
    answer = anna.sql(numbers["Parley"], f"{COUNTS} group by 1").json()
    [(count,)] = superset.rows("select count(*)::int from facts.conversations where tenant_id = %s", OWN)
    assert answer["data"] == [{"tenant_id": OWN, "n": count}], answer


def test_what_others_have_asked_is_not_hers(admin: Asked, anna: Asked, bruno: Asked, numbers: dict[str, int]) -> None:
    asked = new_id()
    answer = admin.sql(numbers["Parley"], OVERVIEW, asked)
    assert len(tells_of_others(answer)) > 1
    assert len(tells_of_others(admin.http.get(f"/api/v1/sqllab/export/{asked}/"))) > 1
    for somebody, others in ((anna, OTHERS), (bruno, OTHERS[1:])):
        for export in (somebody.http.get(f"/api/v1/sqllab/export/{asked}/"), _streamed(somebody, asked)):
            assert [tenant for tenant in others if tenant in export.text] == []
        assert somebody.http.get(f"/api/v1/query/{answer.json()['query_id']}").status_code in (403, 404)


def test_a_dataset_of_her_own_sql_has_her_own_rows(anna: Asked, numbers: dict[str, int]) -> None:
    made = {"database": numbers["Parley"], "schema": "marts", "table_name": f"hers_{new_id()}"}
    hers = anna.http.post("/api/v1/dataset/", json={**made, "sql": f"select {ALL_TENANTS} as tenant_id"}).json()["id"]
    assert _has_her_rows_only(anna.chart(hers))
    made = {"database": numbers["Parley"], "schema": "raw", "table_name": "events"}
    landed = anna.http.post("/api/v1/dataset/", json=made).json()["id"]
    assert "permission denied" in anna.chart(landed).text


PEOPLE = [
    *(f"/api/v1/dashboard/related/{who}" for who in ("roles", "owners", "created_by", "changed_by")),
    *(f"/api/v1/{kind}/related/owners" for kind in ("chart", "dataset")),
    "/api/v1/database/related/created_by",
    "/api/v1/query/related/user",
    "/api/v1/security/roles/",
    "/api/v1/security/users/",
    "/api/v1/rowlevelsecurity/related/roles",
    "/api/v1/log/",
]


def test_superset_names_no_other_tenant_and_nobody_of_theirs(admin: Asked, anna: Asked, bruno: Asked) -> None:
    names = ("admin", "anna", "bruno")
    assert len(tells_of_others(admin.http.get("/api/v1/dashboard/related/roles"))) > 1
    assert "bruno" in admin.http.get("/api/v1/dashboard/related/owners").text
    for path in PEOPLE:
        for somebody in (anna, bruno):
            answer = somebody.http.get(path)
            assert answer.status_code in (200, 403), path
            assert [name for name in (OWN, *OTHERS, *names) if name in answer.text] == [], path
    assert len(anna.http.get("/api/v1/dataset/related/database").json()["result"]) == 1, "what she may choose from"


def test_a_login_leaves_nothing_where_others_see_it(bruno: Asked, numbers: dict[str, int]) -> None:
    chart = {"slice_name": "For Anna", "viz_type": "table", "params": "{}", "datasource_type": "table"}
    assert bruno.http.post("/api/v1/chart/", json={**chart, "datasource_id": numbers["alerts"]}).status_code == 403
    assert bruno.http.post("/api/v1/dashboard/", json={"dashboard_title": "For Anna"}).status_code == 403
    assert bruno.http.post("/api/v1/tag/", json={"name": "For Anna"}).status_code == 403
    assert bruno.http.get("/api/v1/dashboard/").json()["count"] == len(source.Source().boards)
    state = {"value": "{}"}
    assert bruno.http.post("/api/v1/dashboard/1/filter_state", json=state).status_code == 201, "of his own filters"


def test_who_has_no_tenant_sees_no_row_and_an_administrator_all(
    superset: Superset, numbers: dict[str, int], anna: Asked, admin: Asked
) -> None:
    assert len(tells_of_others(admin.sql(numbers["Parley"], OVERVIEW))) > 1
    with database.connect(superset.settings, database=serve.metadata(superset.settings)) as connection:
        taken = connection.execute(
            "delete from ab_user_role using ab_user, ab_role where ab_user_role.user_id = ab_user.id and"
            " ab_user_role.role_id = ab_role.id and ab_user.username = 'anna' and ab_role.name = 'Parley: salon-paris'"
            " returning ab_user.id, ab_role.id"
        ).fetchall()
    try:
        assert len(taken) == 1
        answer = anna.sql(numbers["Parley"], OVERVIEW).json()
        assert answer["data"] == []
    finally:
        with database.connect(superset.settings, database=serve.metadata(superset.settings)) as connection:
            for user, role in taken:
                query = f"insert into ab_user_role (id, user_id, role_id) values ({NEXT}, %s, %s)"
                connection.execute(query.encode(), [user, role])
