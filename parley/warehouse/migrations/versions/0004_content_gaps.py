"""Topics of unanswered questions, and what people say of them (ops.topics and its companions)."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.topics (
            tenant_id text not null,
            topic_id text not null,
            name text not null,
            confidence double precision not null,
            example_questions text[] not null,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            constraint topics_pkey primary key (tenant_id, topic_id)
        );
        create table ops.question_topics (
            tenant_id text not null,
            question_id uuid not null,
            topic_id text not null,
            constraint question_topics_pkey primary key (tenant_id, question_id)
        );
        create table ops.topic_models (
            tenant_id text not null,
            model bytea not null,
            updated_at timestamptz not null,
            constraint topic_models_pkey primary key (tenant_id)
        );
        create table ops.gap_statuses (
            tenant_id text not null,
            gap_id text not null,
            status text not null,
            note text,
            changed_by text,
            changed_at timestamptz not null,
            constraint gap_statuses_pkey primary key (tenant_id, gap_id),
            constraint gap_statuses_status_check check (status in ('identified', 'in_progress', 'resolved'))
        );
        comment on table ops.topics is 'One row per tenant and topic of unanswered questions: parley.analytics.topics.';
        comment on table ops.question_topics is 'One row per tenant and question, with the topic it joined.';
        comment on table ops.topic_models is 'One row per tenant: what was learned, to place new questions by.';
        comment on table ops.gap_statuses is 'One row per tenant and gap whose status a person has set.';
    """)
