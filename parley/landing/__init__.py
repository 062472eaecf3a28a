"""A file's way into `raw`: read, map to the envelope, check, make private, store."""
