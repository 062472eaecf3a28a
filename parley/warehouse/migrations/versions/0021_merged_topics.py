"""Which topics were folded into larger ones (ops.merged_topics)."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.merged_topics (
            tenant_id text not null,
            topic_id text not null,
            merged_into text not null,
            merged_at timestamptz not null,
            constraint merged_topics_pkey primary key (tenant_id, topic_id)
        );
        comment on table ops.merged_topics is
            'One row per tenant and former topic: the topic in which its questions are now.';
    """)
