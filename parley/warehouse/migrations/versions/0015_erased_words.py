"""What an erased person wrote, as hashes, so that exports and reports that still quote it are found."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.erasures add column text_hmacs text[] not null default '{}';
        comment on column ops.erasures.text_hmacs is 'of texts that only the subject wrote, to find them in files';
    """)
