"""What a user edits: the rows of `seeds/` and the event types of `tracking_plan/`, read and checked."""
