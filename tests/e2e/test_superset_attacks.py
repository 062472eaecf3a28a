"""A tenant's login against everybody else's rows through Superset: chart data, SQL Lab, exports (docs/security.md).

Needs `.venv-bi`: `make test-bi` runs it. The attacker has all that Superset can give without being an administrator.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from dashboards.superset import serve
from parley.warehouse import database
from tests.e2e.test_superset import PASSWORD, Superset, superset

__all__ = ["superset"]

pytestmark = [pytest.mark.bi, pytest.mark.timeout(900)]

OWN, OTHERS = "salon-paris", ("nordic-bank", "voice-tokyo", "shop-newyork")
ANYTHING = "1 = 1 or 1 = 1"
NEXT = "nextval('ab_user_role_id_seq')"  # Superset numbers them itself
ALL_TENANTS = "(select string_agg(tenant_id, ',') from marts.tenants_overview)"


class Asked:
    """Superset's API, as somebody who has signed in."""

    def __init__(self, url: str, user: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, headers={"Referer": url})
        token = self.http.post(
            "/api/v1/security/login", json={"username": user, "password": PASSWORD, "provider": "db", "refresh": False}
        ).json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        self.http.headers["X-CSRFToken"] = self.http.get("/api/v1/security/csrf_token/").json()["result"]

    def chart(self, dataset: int, result_format: str = "json", **query: Any) -> httpx.Response:
        asked = {"row_limit": 1000, "columns": ["tenant_id"], "metrics": [], "filters": [], "extras": {}, **query}
        return self.http.post(
            "/api/v1/chart/data",
            json={
                "datasource": {"id": dataset, "type": "table"},
                "queries": [asked],
                "result_format": result_format,
                "result_type": "full",
                "force": True,
            },
        )

    def sql(self, number: int, query: str) -> httpx.Response:
        return self.http.post(
            "/api/v1/sqllab/execute/",
            json={"database_id": number, "sql": query, "runAsync": False, "client_id": "a1b2c3d4e", "queryLimit": 1000},
        )


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


def tells_of_others(answer: httpx.Response) -> list[str]:
    return [tenant for tenant in OTHERS if tenant in answer.text]


@pytest.mark.parametrize("dataset", ["conversations", "daily_metrics", "tenants_overview", "alerts", "input_metrics"])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"extras": {"where": f"({ANYTHING})"}},
        {"extras": {"having": ANYTHING}, "metrics": [{"expressionType": "SQL", "sqlExpression": "1", "label": "one"}]},
        {"filters": [{"col": {"expressionType": "SQL", "sqlExpression": ANYTHING, "label": "any"}, "op": "IS TRUE"}]},
        {"metrics": [{"expressionType": "SQL", "sqlExpression": ALL_TENANTS, "label": "all"}], "columns": []},
        {
            "metrics": [
                {
                    "expressionType": "SQL",
                    "sqlExpression": "(select string_agg(word, ',') from"
                    " ts_stat('select to_tsvector(''simple'', tenant_id) from marts.tenants_overview'))",
                    "label": "all",
                }
            ],
            "columns": [],
        },
        {
            "columns": [
                {
                    "expressionType": "SQL",
                    "sqlExpression": "query_to_xml('select tenant_id from marts.tenants_overview', true, true, '')",
                    "label": "all",
                }
            ]
        },
    ],
)
@pytest.mark.parametrize("result_format", ["json", "csv"])
def test_no_chart_tells_of_another_tenant(
    anna: Asked, numbers: dict[str, int], dataset: str, query: dict[str, Any], result_format: str
) -> None:
    if dataset not in numbers:
        pytest.skip(f"{dataset} is no dataset of the dashboards")
    answer = anna.chart(numbers[dataset], result_format, **query)
    assert tells_of_others(answer) == []
    if not query:
        assert OWN in answer.text, answer.text[:500]


@pytest.mark.parametrize(
    "query",
    [
        "select tenant_id, count(*) from facts.conversations group by 1",
        "select tenant_id from marts.tenants_overview where 1 = 1 or 1 = 1",
        f"select {ALL_TENANTS}",
        "select * from pg_stats where schemaname in ('facts', 'marts')",
        "select query from pg_stat_activity",
        "set role parley_reader",
        "select set_config('role', 'postgres', false), (select string_agg(tenant_id, ',') from marts.tenants_overview)",
        "select * from ops.tenant_roles",
        "select * from raw.events",
    ],
)
def test_sql_lab_tells_of_no_other_tenant(anna: Asked, numbers: dict[str, int], query: str) -> None:
    answer = anna.sql(numbers["Parley"], query)
    assert tells_of_others(answer) == []
    exported = anna.http.get("/api/v1/sqllab/export/a1b2c3d4e/")
    assert tells_of_others(exported) == []


def test_sql_lab_and_charts_show_her_own_rows(superset: Superset, anna: Asked, numbers: dict[str, int]) -> None:
    answer = anna.sql(numbers["Parley"], "select tenant_id, count(*) as n from facts.conversations group by 1").json()
    [(count,)] = superset.rows("select count(*)::int from facts.conversations where tenant_id = %s", OWN)
    assert answer["data"] == [{"tenant_id": OWN, "n": count}], answer


def test_who_has_no_tenant_sees_no_row_and_an_administrator_all(
    superset: Superset, numbers: dict[str, int], anna: Asked
) -> None:
    admin = Asked(superset.url, "admin")
    assert len(tells_of_others(admin.sql(numbers["Parley"], "select tenant_id from marts.tenants_overview"))) > 1
    with database.connect(superset.settings, database=serve.metadata(superset.settings)) as connection:
        taken = connection.execute(
            "delete from ab_user_role using ab_user, ab_role where ab_user_role.user_id = ab_user.id and"
            " ab_user_role.role_id = ab_role.id and ab_user.username = 'anna' and ab_role.name = 'Parley: salon-paris'"
            " returning ab_user.id, ab_role.id"
        ).fetchall()
    try:
        answer = anna.sql(numbers["Parley"], "select tenant_id from marts.tenants_overview").json()
        assert answer["data"] == []
    finally:
        with database.connect(superset.settings, database=serve.metadata(superset.settings)) as connection:
            for user, role in taken:
                query = f"insert into ab_user_role (id, user_id, role_id) values ({NEXT}, %s, %s)"
                connection.execute(query.encode(), [user, role])
