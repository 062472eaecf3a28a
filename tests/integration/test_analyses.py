"""What Python computes between two dbt models is computed again only where something has changed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from parley.analytics import analyses
from parley.settings import Settings
from parley.warehouse import database
from parley.warehouse.database import Connection
from tests.conftest import BUILT_AS_OF

AS_OF = datetime.fromisoformat(BUILT_AS_OF)


TENANTS = {"salon-paris", "shop-newyork"}


@pytest.fixture
def connection(built: Settings) -> Iterator[Connection]:
    """To a warehouse in which two tenants have a customer each, with predictions as of `AS_OF`."""
    with database.connect(built, autocommit=True) as found:
        found.execute("delete from facts.purchase_histories")
        for tenant in TENANTS:
            found.execute(
                "insert into facts.purchase_histories (tenant_id, user_id, first_order_on, last_order_on, repeat_days,"
                " recency_days, repeat_value, revenue) values (%s, 'ann', '2025-06-01', '2025-06-21', 2, 20, 30, 90)",
                [tenant],
            )
        analyses.predictions(found, AS_OF)
        yield found


def fitted(connection: Connection) -> dict[str, set[str]]:
    """The transactions that wrote each tenant's predictions."""
    found = connection.execute(
        "select tenant_id, array_agg(distinct xmin::text) from ops.customer_predictions group by tenant_id"
    ).fetchall()
    return {str(tenant): set(writers) for tenant, writers in found}  # type: ignore[call-overload]


def refitted(connection: Connection, as_of: datetime) -> set[str]:
    """The tenants whose predictions a run of the analysis wrote again."""
    before = fitted(connection)
    with connection.transaction():
        analyses.predictions(connection, as_of)
    return {tenant for tenant, writers in fitted(connection).items() if writers != before.get(tenant)}


def test_a_tenant_is_fitted_again_when_a_customer_has_bought_or_the_day_is_another(connection: Connection) -> None:
    assert fitted(connection).keys() == TENANTS
    assert refitted(connection, AS_OF + timedelta(minutes=30)) == set()

    one = min(TENANTS)
    connection.execute("update facts.purchase_histories set revenue = revenue + 1 where tenant_id = %s", [one])
    assert refitted(connection, AS_OF) == {one}
    assert refitted(connection, AS_OF) == set()

    assert refitted(connection, AS_OF + timedelta(days=1)) == TENANTS


def test_a_tenant_without_customers_has_no_predictions(connection: Connection) -> None:
    one = min(TENANTS)
    connection.execute("delete from facts.purchase_histories where tenant_id = %s", [one])
    refitted(connection, AS_OF)
    assert fitted(connection).keys() == TENANTS - {one}


def test_predictions_are_as_of_the_beginning_of_the_tenants_day(connection: Connection) -> None:
    [wrong] = connection.execute(
        "select count(*) from ops.customer_predictions inner join staging.stg_tenants using (tenant_id)"
        " where fitted_at at time zone time_zone <> (%s::timestamptz at time zone time_zone)::date",
        [AS_OF],
    ).fetchone() or [None]
    assert wrong == 0
