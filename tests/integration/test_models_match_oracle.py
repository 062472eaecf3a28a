"""The models against the oracle on real data, landed by `load` and built by `build` like anybody's.

That the oracle says what others computed from the same data is tested in tests/unit/test_oracle_on_real_data.py.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from parley.build.builds import BuildRequest
from parley.settings import Settings
from tests.oracle import TABLES, World, differences
from tests.oracle.files import SHARED, read
from tests.support.warehouse import Warehouse

FILES = [SHARED / "data/star.events.ndjson.gz", SHARED / "data/online_retail.events.ndjson.gz"]
OF_WORDING = {  # landing masks what looks personal in texts, and the oracle reads them as they were sent
    "facts.conversation_wording",
    "facts.conversation_signals",
    "marts.conversation_quality_scores",
    "marts.quality_daily",
}
AS_OF = datetime(2020, 5, 27, 12, tzinfo=UTC)  # some of STAR's periods are not over, and some days yet to come

pytestmark = [
    pytest.mark.slow,
    pytest.mark.builds,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not all(map(Path.exists, FILES)), reason="../shared/data is not beside the repository"),
]


def test_every_table_of_the_oracle_is_what_the_models_make_of_real_data(database: Settings, tmp_path: Path) -> None:
    warehouse = Warehouse(database, tmp_path)
    for file in FILES:
        warehouse.land_file(file)
    tables = {name: table for name, table in TABLES.items() if name not in OF_WORDING}
    warehouse.build(BuildRequest(as_of=AS_OF))
    world = World.of([event for file in FILES for event in read(file)], AS_OF)
    for name, (rows, key) in tables.items():
        assert differences(rows(world), warehouse.read(name), key)[:10] == [], name
