"""The day of an alert is evaluated."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("comment on column ops.alerts.day is 'the tenant-local day that was evaluated'")
