"""Keys of the HTTP server, and how far each spool has landed."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.api_keys (
            key_id text not null,
            key_hash bytea not null,
            tenant_id text not null,
            scopes text[] not null,
            name text,
            origins text[] not null default '{}',
            rate_per_second integer,
            daily_quota bigint,
            created_at timestamptz not null default now(),
            expires_at timestamptz,
            revoked_at timestamptz,
            last_used_at timestamptz,
            constraint api_keys_pkey primary key (key_id),
            constraint api_keys_key_hash_key unique (key_hash)
        );
        comment on table ops.api_keys is 'One row per key of the HTTP server; the key itself is not kept.';
        comment on column ops.api_keys.key_hash is 'SHA-256 of the key';
        comment on column ops.api_keys.tenant_id is '* sends for many tenants';
        comment on column ops.api_keys.origins is 'web origins that may use it; none: any';
        comment on column ops.api_keys.rate_per_second is 'requests';
        comment on column ops.api_keys.daily_quota is 'events a day of UTC';
        create table ops.spool_positions (
            spool_id text not null,
            segment bigint not null,
            byte_offset bigint not null,
            updated_at timestamptz not null default now(),
            constraint spool_positions_pkey primary key (spool_id)
        );
        comment on table ops.spool_positions is
            'One row per spool of a server process: what is before this place has landed.';
    """)
