"""What each dbt run built and found wrong (ops.builds)."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.builds (
            build_id text not null,
            command text not null,
            as_of timestamptz not null,
            started_at timestamptz not null,
            finished_at timestamptz not null,
            arguments jsonb not null,
            built bigint not null,
            passed bigint not null,
            warned bigint not null,
            failed bigint not null,
            errors bigint not null,
            skipped bigint not null,
            problems jsonb not null,
            constraint builds_pkey primary key (build_id)
        );
        create index builds_finished_at_idx on ops.builds (finished_at);
        comment on table ops.builds is 'One row per dbt run that came to its end, whoever started it.';
        comment on column ops.builds.as_of is 'the "now" that outcomes were judged by';
        comment on column ops.builds.problems is
            'name, kind, status and message of every check that did not pass and every model that failed';
    """)
