"""What people read: the summary, the report, metrics, docs, the doctor's findings."""
