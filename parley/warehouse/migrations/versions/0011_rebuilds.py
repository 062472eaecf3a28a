"""What each build changed in each incremental table (ops.rebuilds)."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.rebuilds (
            build_id text not null,
            model text not null,
            rows_added bigint,
            rows_changed bigint,
            rows_removed bigint,
            days datemultirange,
            rebuilt_at timestamptz not null default now(),
            constraint rebuilds_pkey primary key (build_id, model)
        );
        comment on table ops.rebuilds is 'One row per build and incremental table that it changed.';
        comment on column ops.rebuilds.rows_added is 'null where the table was built as a whole';
        comment on column ops.rebuilds.rows_changed is 'null where the table was built as a whole';
        comment on column ops.rebuilds.rows_removed is 'null where the table was built as a whole';
        comment on column ops.rebuilds.days is
            'tenant-local days of these rows; empty where rows are of no day';
    """)
