"""The tenants seed and what is said of its mistakes."""

from pathlib import Path

import pytest

from parley.config import tenants
from parley.config.tenants import Tenant
from parley.errors import ParleyError

HEADER = ",".join(tenants.COLUMNS)


def seed(folder: Path, *rows: str, header: str = HEADER) -> Path:
    file = folder / "tenants.csv"
    file.write_text("\n".join((header, *rows)) + "\n")
    return file


def test_the_shipped_seed_has_the_demos_tenants() -> None:
    found = tenants.read(Path(__file__).parents[2] / tenants.SEED)
    assert {tenant.tenant_id: (tenant.time_zone, tenant.week_start) for tenant in found.values()} == {
        "nordic-bank": ("Europe/Stockholm", "monday"),
        "salon-paris": ("Europe/Paris", "monday"),
        "voice-tokyo": ("Asia/Tokyo", "monday"),
        "shop-newyork": ("America/New_York", "sunday"),
    }


def test_blank_cells_take_the_defaults(tmp_path: Path) -> None:
    assert tenants.read(seed(tmp_path, "shop,,,,,,,,,,")) == {"shop": Tenant("shop", "shop")}
    assert Tenant("shop", "shop") == Tenant("shop", "shop", "UTC", "monday", 30, 24, 3000, None, False, False, None)


def test_every_column_is_read_in_any_order(tmp_path: Path) -> None:
    cells = ["shop", "A Shop", "Asia/Tokyo", "Sunday", "45", "12", "2000", "90", "TRUE", "true", "JPY"]
    row = dict(zip(tenants.COLUMNS, cells, strict=True))
    backwards = list(reversed(tenants.COLUMNS))
    file = seed(tmp_path, ",".join(row[name] for name in backwards), header=",".join(backwards))
    assert tenants.read(file)["shop"] == Tenant(
        "shop", "A Shop", "Asia/Tokyo", "sunday", 45, 12, 2000, 90, True, True, "JPY"
    )


def test_a_gap_between_sessions_is_in_minutes_or_in_seconds(tmp_path: Path) -> None:
    header = f"{HEADER},session_gap_seconds"
    assert tenants.read(seed(tmp_path, "shop,,,,,,,,,,,90", header=header))["shop"].session_gap_seconds == 90
    with pytest.raises(ParleyError, match=r"row 2, session_gap_seconds: session_gap_minutes says it too"):
        tenants.read(seed(tmp_path, "shop,,,,30,,,,,,,90", header=header))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",A Shop,,,,,,,,,", "row 2, tenant_id: it is blank: write the tenant's id as its events have it"),
        ("*,,,,,,,,,,", r"row 2, tenant_id: '\*' is not right: write an id of 1 to 64 characters"),
        (
            "shop,,Europe/Atlantis,,,,,,,,",
            "row 2, time_zone: 'Europe/Atlantis' is not right: write a name .* Europe/Paris",
        ),
        ("shop,,../etc/passwd,,,,,,,,", "row 2, time_zone"),
        ("shop,,Europe,,,,,,,,", "row 2, time_zone"),
        ("shop,,,mon,,,,,,,", "row 2, week_start: 'mon' is not right: write the name of a weekday such as monday"),
        ("shop,,,,half an hour,,,,,,", "row 2, session_gap_minutes: 'half an hour' .* a whole number greater than 0"),
        ("shop,,,,,-1,,,,,", "row 2, abandon_after_hours"),
        ("shop,,,,,,0,,,,", "row 2, sla_ms"),
        ("shop,,,,,,,1.5,,,", "row 2, raw_retention_days"),
        ("shop,,,,,,,,yes,,", "row 2, hash_user_ids: 'yes' is not right: write true or false"),
        ("shop,,,,,,,,,1,", "row 2, admit_unregistered_types"),
        ("shop,,,,,,,,,,dollars", "row 2, currency: 'dollars' .* three capitals such as USD"),
        ("shop,,,", "row 2: it has not 11 cells"),
        ("shop,,,,,,,,,,,", "row 2: it has not 11 cells"),
    ],
)
def test_a_mistake_is_told_by_row_and_column_with_what_to_write(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ParleyError, match=rf"tenants\.csv, {message}"):
        tenants.read(seed(tmp_path, row))


def test_a_tenant_that_stands_twice_is_told_by_its_second_row(tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match=r"row 4, tenant_id: 'shop' stands twice"):
        tenants.read(seed(tmp_path, "shop,,,,,,,,,,", "salon,,,,,,,,,,", "shop,,,,,,,,,,"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("time_zone,", ""), "the column time_zone must be there once"),
        (HEADER + ",colour", "there is no column 'colour'"),
        (HEADER + ",name", "the column name must be there once"),
    ],
)
def test_the_header_must_name_the_columns(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(ParleyError, match=message):
        tenants.read(seed(tmp_path, header=header))


def test_a_seed_that_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match="a seed belongs there"):
        tenants.read(tmp_path / "tenants.csv")
    (tmp_path / "tenants.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParleyError, match="no CSV in UTF-8"):
        tenants.read(tmp_path / "tenants.csv")
