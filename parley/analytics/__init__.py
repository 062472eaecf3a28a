"""What SQL cannot compute: topics of content gaps, experiments, predictions, anomalies. Run between two runs of dbt."""
