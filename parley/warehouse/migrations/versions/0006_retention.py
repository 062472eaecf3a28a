"""What retention has taken out of raw.events (ops.archives, ops.too_late_events)."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.archives (
            archive_id text not null,
            tenant_id text not null,
            month text not null,
            last_batch_id bigint not null,
            taken_at timestamptz not null,
            emptied_at timestamptz,
            expired_at timestamptz,
            constraint archives_pkey primary key (archive_id, tenant_id)
        );
        create table ops.too_late_events (
            tenant_id text not null,
            event_id uuid not null,
            event_name text not null,
            occurred_at timestamptz not null,
            received_at timestamptz not null,
            constraint too_late_events_pkey primary key (tenant_id, event_id)
        );
        comment on column ops.archives.archive_id is 'names its files, as parley.history.archives describes';
        comment on column ops.archives.month is 'YYYY-MM, of UTC';
        comment on column ops.archives.last_batch_id is 'the last batch whose rows are in the archive';
        comment on column ops.archives.emptied_at is 'when the last of these rows had left raw.events';
        comment on column ops.archives.expired_at is 'when the rows left the archive too';
        comment on table ops.archives is
            'One row per archive and tenant whose events it holds in the place of raw.events.';
        comment on table ops.too_late_events is
            'One row per event that came after its day was frozen, and has since left raw.events for an archive.';
    """)
