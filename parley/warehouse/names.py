"""Values of `tenant_id` in `raw` and `ops` that no tenant may have as its id."""

EVERY_TENANT = "*"  # the tenant of event types and settings that hold for all
UNKNOWN_TENANT = "(unknown)"  # under which a line is counted whose tenant cannot be read
