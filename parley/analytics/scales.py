"""The metrics of the input that are watched for anomalies, and how their values are compared."""

from typing import Literal

Scale = Literal["count", "share", "value", "hours", "clock"]

SCALES: dict[str, Scale] = {
    "events": "count",
    "users": "count",
    "silent_hours": "hours",
    "mean_hour": "clock",
    "late_share": "share",
    "duplicate_share": "share",
    "rejected_share": "share",
    "without_user_share": "share",
    "without_conversation_share": "share",
    "without_session_share": "share",
    "median_duration_ms": "value",
    "median_revenue": "value",
}
"""Of `marts.input_metrics`."""
CHANGED_FIELDS = "changed_fields"  # what facts.field_changes says, which needs no statistics
DIRECTIONS = ("up", "down", "both")
