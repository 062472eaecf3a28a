"""Builds of the tables: requests, the way into dbt, what a build changed, how fresh the sources are."""
