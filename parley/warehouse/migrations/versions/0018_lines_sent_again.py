"""How many lines of a batch were sent again: of a file that had landed before. Shares of quality leave them out."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table raw.load_batches add column resent bigint default 0 not null;
        comment on column raw.load_batches.resent is
            'lines of a file that had landed before, but those accepted now: among received';
    """)


def downgrade() -> None:
    op.execute("alter table raw.load_batches drop column resent")
