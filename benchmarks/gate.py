"""What the input gate costs: one day of many events among others, validated by the shipped expectations.

    python benchmarks/gate.py [--size 1000000] [--others 9]

Puts `--size` synthetic events on one day of raw.events, and as many on each of `--others` days of the same month, then
validates the one day. Measuring is the statement over its events; the rest is Great Expectations, whose import is
given apart. It starts a server of its own in a temporary folder.
"""

import argparse
import os
import shutil
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

FIRST = date(2026, 6, 1)

EVENTS = """
insert into raw.events (
    tenant_id, event_id, event_name, occurred_at, received_at, conversation_id, session_id, user_id, source, attributes,
    schema_version, load_id, batch_id
)
select
    'tenant-' || mod(number, 20),
    gen_random_uuid(),
    (array['message.received', 'message.sent', 'kb.search', 'ai.response'])[1 + mod(number, 4)],
    happened_at, happened_at + interval '1 minute',
    'conversation-' || number / 10, 'session-' || number / 10, 'user-' || number / 50, 'web',
    (array[
        '{"text": "Where is my order? It was to come on Monday."}', '{"text": "It comes tomorrow."}',
        '{"query": "order status", "results_count": 3, "duration_ms": 42}', '{"duration_ms": 950, "model": "large"}'
    ])[1 + mod(number, 4)]::jsonb,
    1, 1, %(batch)s + number / 5000
from (
    select number, %(day)s::timestamptz + number * (interval '1 day' / %(size)s) as happened_at
    from generate_series(0, %(size)s - 1) as number
) as numbers
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="events of a day")
    parser.add_argument("--others", type=int, default=9, help="other days of the month, at most 29")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="parley-benchmark-"))
    home.chmod(0o755)
    os.environ |= {"PARLEY_HOME": str(home), "GX_ANALYTICS_ENABLED": "false"}
    for name in ("DATABASE_URL", "PGHOST"):
        os.environ.pop(name, None)

    from parley.config import tracking_plan
    from parley.landing.partitions import ensure
    from parley.quality_gate import measures, validation
    from parley.settings import Settings
    from parley.warehouse import database, embedded, migrate

    settings = Settings.load()
    try:
        migrate.upgrade(settings)
        with database.connect(settings, autocommit=True) as connection:
            tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
            ensure(connection, [f"{FIRST:%Y-%m}"])
            for number in range(options.others + 1):
                day = datetime.combine(FIRST + timedelta(days=number), datetime.min.time(), UTC)
                connection.execute(
                    EVENTS, {"day": day, "size": options.size, "batch": 1 + number * (options.size // 5000 + 1)}
                )
            connection.execute("vacuum analyze raw.events")
            validated = FIRST + timedelta(days=options.others // 2)

            began = time.perf_counter()
            import great_expectations  # noqa: F401

            imported = time.perf_counter()
            with connection.transaction():
                measures.measure(connection, [validated], listed=[], expected=[], max_future=24)
            measured = time.perf_counter()
            [result] = validation.validate_days(connection, settings, validated, validated)
            done = time.perf_counter()
        print(f"{result.events:,} events on the day, {(options.others + 1) * options.size:,} in the month")
        print(f"  importing Great Expectations  {imported - began:5.1f} s")
        print(f"  measuring the day             {measured - imported:5.1f} s")
        print(f"  validating it, measuring and all {done - measured:5.1f} s   {result.result}")
    finally:
        embedded.stop(settings)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
