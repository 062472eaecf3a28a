"""A build says what took its time."""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.builds add column seconds jsonb not null default '{}';
        comment on column ops.builds.seconds is
            'of every table, check and analysis that took a hundredth of a second or more, by name';
    """)
