"""The input gate validates, and what it comes to is a result (ops.input_validation)."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.input_validation rename column verdict to result;
        alter table ops.input_validation rename column judged_at to validated_at;
        alter table ops.input_validation rename constraint input_validation_verdict_check
            to input_validation_result_check;
    """)
