"""Archives of raw.events: what is written is what was there, damage is found, and a rewrite leaves the rest."""

import resource
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from parley.errors import ParleyError
from parley.history import archives
from parley.history.archives import Archive
from parley.landing.loader import load
from parley.settings import Settings
from parley.warehouse import database
from tests.conftest import Rows
from tests.support.landing import event, write

MONTH = "2024-03"
TENANTS = ["tenant-0", "tenant-2"]


@pytest.fixture
def landed(database: Settings, tmp_path: Path) -> Settings:
    """Events of a year; those of March are of tenants 0, 1 and 2."""
    events = [
        event(number, tenant_id=f"tenant-{number % 5 % 3}", anonymous_id=f"visitor-{number}", sequence=number)
        for number in range(3_000)
    ]
    load(database, write(tmp_path / "events.ndjson", events))
    return database


def archive(settings: Settings) -> Archive:
    with database.connect(settings) as connection:
        return archives.write(connection, settings.home, MONTH, TENANTS, number=1)


def held(found: Archive) -> list[dict[str, object]]:
    return [row for batch in archives.rows(found) for row in batch.to_pylist()]


def test_an_archive_holds_the_rows_that_were_there(landed: Settings, rows: Rows) -> None:
    written = archive(landed)
    there = rows("""
        select tenant_id, event_id::text, event_name, occurred_at, received_at, conversation_id, session_id, user_id,
            source, attributes::text, context::text, schema_version, load_id, batch_id, anonymous_id, site_id,
            sequence, actor
        from raw.events_2024_03 where tenant_id in ('tenant-0', 'tenant-2') order by batch_id, tenant_id, event_id
    """)
    assert there
    assert held(written) == there
    assert archives.find(landed.home) == [written]
    manifest = written.manifest
    assert manifest.rows == len(there) == sum(manifest.rows_by_tenant.values())
    assert set(manifest.rows_by_tenant) == set(TENANTS)
    assert manifest.occurred_at == tuple(limit(row["occurred_at"] for row in there).isoformat() for limit in (min, max))
    archives.verify(written)


def test_a_month_without_rows_makes_an_empty_archive(landed: Settings) -> None:
    with database.connect(landed) as connection:
        written = archives.write(connection, landed.home, MONTH, ["nobody"], number=1)
    archives.verify(written)
    assert (written.manifest.rows, held(written)) == (0, [])


@pytest.mark.parametrize("damage", ["a byte", "the end", "the file"])
def test_damage_is_found(landed: Settings, damage: str) -> None:
    written = archive(landed)
    content = bytearray(written.data.read_bytes())
    if damage == "the file":
        written.data.unlink()
    else:
        content[len(content) // 2] ^= 1
        written.data.write_bytes(content if damage == "a byte" else content[:-100])
    with pytest.raises(ParleyError, match="from a backup"):
        archives.verify(written)
    with pytest.raises(ParleyError, match="from a backup"):
        archives.rewrite(written, lambda batch: pc.is_valid(batch["event_id"]))


def test_other_rows_in_a_sound_file_are_found(landed: Settings, tmp_path: Path) -> None:
    written = archive(landed)
    other, gone = archives.rewrite(written, lambda batch: pc.equal(batch["tenant_id"], "tenant-0"))
    assert gone
    forged = Archive(
        other.path,
        archives.Manifest(
            **{
                **{name: getattr(written.manifest, name) for name in written.manifest.__slots__},
                "file": other.manifest.file,
                "sha256": other.manifest.sha256,
            }
        ),
    )
    with pytest.raises(ParleyError, match="does not hold the rows"):
        archives.verify(forged)


def test_a_rewrite_takes_out_a_subject_and_leaves_the_rest(landed: Settings) -> None:
    written = archive(landed)
    before = held(written)
    subject = before[0]["user_id"]

    def others(batch: pa.RecordBatch) -> pa.BooleanArray:
        return pc.invert(pc.fill_null(pc.equal(batch["user_id"], subject), False))

    rewritten, gone = archives.rewrite(written, others)
    left = [row for row in before if row["user_id"] != subject]
    assert gone == len(before) - len(left) > 0
    assert held(rewritten) == left
    archives.verify(rewritten)
    assert archives.find(landed.home) == [rewritten]
    assert not written.data.exists()
    assert archives.rewrite(rewritten, others) == (rewritten, 0)
    again, gone = archives.rewrite(rewritten, lambda batch: pc.equal(batch["tenant_id"], "tenant-0"))
    assert held(again) == [row for row in left if row["tenant_id"] == "tenant-0"]
    assert archives.tidy(landed.home) == []


def test_what_a_crash_left_is_removed_and_archives_stay(landed: Settings) -> None:
    written = archive(landed)
    leavings = [written.path.with_name(name) for name in ("0002.parquet", "0002.parquet.part", "0001-2.parquet")]
    for path in leavings:
        path.write_bytes(b"half")
    assert archives.tidy(landed.home) == sorted(leavings)
    assert archives.find(landed.home) == [written]
    archives.verify(written)


def test_a_full_disk_leaves_nothing_and_says_so(landed: Settings) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))  # no file may become larger
    try:
        with pytest.raises(ParleyError, match="make room"):
            archive(landed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert archives.find(landed.home) == []
    assert list(archives.folder(landed.home).rglob("*.*")) == []
    with psycopg.connect() as connection:
        assert connection.execute("select count(*) from raw.events").fetchone() == (3_000,)
