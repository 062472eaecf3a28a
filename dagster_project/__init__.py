"""Dagster over Parley: one module per Dagster concept. No business logic: it calls `parley` and dbt."""

import warnings

warnings.filterwarnings("ignore", "Parameter `backfill_policy`")  # of every asset, in every process, that it is beta
