"""What keys of the HTTP server have sent of a day's quota."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

USAGE = """
    create table ops.api_usage (
        date date not null,
        key_id text not null,
        tenant_id text not null,
        events bigint default 0 not null,
        constraint api_usage_pkey primary key (date, key_id)
    );
    comment on table ops.api_usage is 'One row per day and key of the HTTP server: events received, for daily quotas.';
    comment on column ops.api_usage.date is 'of UTC';
    comment on column ops.api_usage.tenant_id is 'the key''s';
"""


def upgrade() -> None:
    op.execute(USAGE)
