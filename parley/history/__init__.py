"""What outlives raw events: retention, archives in Parquet, exports of tables."""
