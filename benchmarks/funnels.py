"""What a funnel's steps cost: milliseconds for a thousand events, by order and number of steps.

    .venv/bin/python benchmarks/funnels.py      # on the database that the environment names, which is only asked

Units of 60 events go through funnels of 2 to 20 steps; the last column compares 20 steps with 10. Where each event can
serve several steps (`overlapping`), events are matched with steps; that is the dearest kind of funnel.
"""

import time

from parley.settings import Settings
from parley.warehouse import database

UNITS, EVENTS = 200, 60
STEPS = (2, 5, 10, 20)
QUERY = """
    select count(attempts.entry), max(cardinality(attempts.reached_at))
    from (
        select
            unit,
            array_agg('2026-03-01Z'::timestamptz + number * interval '1 minute' order by number) as occurred_at,
            array_agg(
                case when %(overlapping)s then 1 << (number %% %(steps)s) | 1 << ((number * 7) %% %(steps)s)
                else 1 << ((number * 7 + unit) %% %(steps)s) end order by number
            ) as masks,
            array_agg(0 order by number) as exclusion_masks,
            array_agg(null::text order by number) as breakdown_values
        from generate_series(1, %(units)s) as unit
        cross join generate_series(1, %(events)s) as number
        group by unit
    ) as units
    cross join lateral ops.funnel_attempts(
        %(order)s, false, %(steps)s, array(select generate_series(1, %(steps)s)), interval '1 day',
        null, null, null, null, units.occurred_at, units.masks, units.exclusion_masks, units.breakdown_values
    ) as attempts
"""


def main() -> None:
    """Print a row for each order and kind of funnel."""
    print(f"{'':24}" + "".join(f"{steps:>9} steps" for steps in STEPS) + "   20 : 10")
    with database.connect(Settings.load()) as connection:
        for overlapping in (False, True):
            for order in ("ordered", "strict", "unordered"):
                costs = []
                for steps in STEPS:
                    began = time.perf_counter()
                    connection.execute(
                        QUERY,
                        {"units": UNITS, "events": EVENTS, "order": order, "steps": steps, "overlapping": overlapping},
                    ).fetchone()
                    costs.append((time.perf_counter() - began) * 1e6 / UNITS / EVENTS)
                name = f"{order}{', overlapping' if overlapping else ''}"
                print(f"{name:24}" + "".join(f"{cost:>12.1f} ms" for cost in costs) + f"{costs[3] / costs[2]:>10.1f}")


if __name__ == "__main__":
    main()
