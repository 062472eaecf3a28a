"""Which secret the warehouse knows its people by (parley/warehouse/secret.py)."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        create table ops.secret (
            is_the_only_row boolean not null default true,
            fingerprint text not null,
            constraint secret_pkey primary key (is_the_only_row),
            constraint secret_is_the_only_row_check check (is_the_only_row)
        );
        comment on table ops.secret is 'One row: what the secret that people are hashed with comes to.';
        """
    )
