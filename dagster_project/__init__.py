"""Dagster over Parley: one module per Dagster concept. No business logic: it calls `parley` and dbt."""
