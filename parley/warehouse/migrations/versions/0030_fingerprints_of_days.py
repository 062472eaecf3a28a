"""Whether a day's input is another is seen by the tables that marts.input_metrics is made of."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        comment on column ops.anomaly_days.fingerprint is
            'of the rows that the day''s in marts.input_metrics are made of, 0 without any'
    """)
