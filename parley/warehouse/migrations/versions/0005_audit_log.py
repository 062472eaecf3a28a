"""Who did what that people must be able to look up later (ops.audit_log)."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.audit_log (
            number bigint not null,
            recorded_at timestamptz not null,
            action text not null,
            tenant_id text,
            actor text,
            details jsonb not null,
            previous_hash text not null,
            hash text not null,
            constraint audit_log_pkey primary key (number)
        );
        comment on table ops.audit_log is 'One row per action that must be traceable, chained by hashes.';
    """)
