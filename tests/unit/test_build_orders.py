"""What is asked of dbt, and orders that make no sense."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from parley.build.builds import BuildRequest, arguments
from parley.errors import ParleyError

NOW = datetime(2026, 1, 31, 18, tzinfo=UTC)
OF_EVERY_BUILD = {"as_of": "2026-01-31T18:00:00+00:00", "build_id": "b", "validated_to": 7, "project": "p"}


def asked_of_dbt(order: BuildRequest) -> list[str]:
    return arguments(order, order.circumstances(NOW, "b", validated_to=7), "p")


def variables(asked: list[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(asked[asked.index("--vars") + 1])
    return found


def test_an_order_without_wishes_builds_what_changed_as_of_one_time() -> None:
    asked = asked_of_dbt(BuildRequest())
    assert asked[0] == "build"
    assert variables(asked) == OF_EVERY_BUILD
    assert not {"--full-refresh", "--select", "--threads"} & set(asked)


def test_every_wish_reaches_dbt() -> None:
    order = BuildRequest(
        from_date=date(2026, 1, 1),
        to_date=date(2026, 1, 2),
        tenant="shop",
        select=("+daily_metrics", "tag:x"),
        threads=3,
    )
    asked = asked_of_dbt(order)
    assert variables(asked) == OF_EVERY_BUILD | {
        "from_date": "2026-01-01",
        "to_date": "2026-01-02",
        "tenant": b"shop".hex(),  # dbt renders the texts of its variables
    }
    assert asked[-5:] == ["--select", "+daily_metrics", "tag:x", "--threads", "3"]
    assert "--full-refresh" in asked_of_dbt(BuildRequest(full_refresh=True))


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"from_date": date(2026, 2, 1), "to_date": date(2026, 1, 1)}, "--from 2026-02-01 is after --to 2026-01-01"),
        ({"full_refresh": True, "tenant": "shop"}, "leave out --from, --to and --tenant"),
        ({"as_of": datetime(2026, 1, 1)}, "--as-of has no offset"),
        ({"threads": 0}, "--threads 0"),
    ],
)
def test_an_order_that_makes_no_sense_is_rejected(wishes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParleyError, match=sentence):
        BuildRequest(**wishes)
