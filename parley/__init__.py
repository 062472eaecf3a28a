"""Parley: land conversation events in Postgres, and run what builds tables from them.

An event's way through the package: `landing` (read, map, check, make private, store) puts it
into `raw.events`; `build` runs dbt over it; `summary` shows what came out. Nothing here knows
of Dagster: `dagster_project/` calls this package, never the other way round.
"""

__version__ = "0.1.0"
