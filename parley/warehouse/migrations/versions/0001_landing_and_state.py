"""The landing tables (raw) and the state of the incremental build (ops)."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create sequence raw.batch_id as bigint;

create table raw.events (
    tenant_id text not null,
    event_id uuid not null,
    event_name text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    conversation_id text,
    session_id text,
    user_id text,
    source text,
    attributes jsonb not null,
    context jsonb,
    schema_version integer not null,
    load_id bigint not null,
    batch_id bigint not null
) partition by range (occurred_at);
create index events_batch_id_idx on raw.events (batch_id);
comment on table raw.events is
    'One row per accepted event. Identity is raw.event_keys; partitioned by month of occurred_at.';
comment on column raw.events.user_id is 'pseudonymous, or hashed where the tenant''s setting says so';
comment on column raw.events.schema_version is 'version of the event type it was judged by';

create table raw.event_keys (
    tenant_id text not null,
    event_id uuid not null,
    constraint event_keys_pkey primary key (tenant_id, event_id)
);
comment on table raw.event_keys is
    'One row per event ever accepted: its identity, across partitions and past retention.';

create table raw.rejected_events (
    rejected_id bigint generated always as identity,
    load_id bigint not null,
    batch_id bigint not null,
    line_number bigint,
    tenant_id text,
    event_name text,
    received_at timestamptz not null,
    reason text not null,
    path text,
    message text not null,
    payload jsonb,
    replayed_by bigint,
    constraint rejected_events_pkey primary key (rejected_id)
);
create index rejected_events_load_id_idx on raw.rejected_events (load_id);
comment on table raw.rejected_events is 'One row per refused line.';
comment on column raw.rejected_events.path is 'JSON path of what is wrong';
comment on column raw.rejected_events.message is 'a sentence to act on';
comment on column raw.rejected_events.payload is 'the event as received, made private; null where it is no JSON';
comment on column raw.rejected_events.replayed_by is 'load_id of the replay that landed it';

create table raw.loads (
    load_id bigint generated always as identity,
    source text not null,
    fingerprint text,
    dialect text not null,
    tenant_id text,
    loaded_by text,
    started_at timestamptz default now() not null,
    finished_at timestamptz,
    status text default 'running' not null,
    lines_done bigint default 0 not null,
    received bigint default 0 not null,
    accepted bigint default 0 not null,
    duplicate bigint default 0 not null,
    rejected bigint default 0 not null,
    no_consent bigint default 0 not null,
    erased_subject bigint default 0 not null,
    last_batch_id bigint,
    constraint loads_pkey primary key (load_id),
    constraint loads_counts_add_up_check
        check (received = accepted + duplicate + rejected + no_consent + erased_subject),
    constraint loads_status_check check (status in ('running', 'complete', 'failed'))
);
create index loads_fingerprint_idx on raw.loads (fingerprint);
comment on table raw.loads is 'One row per load: a file or a stream.';
comment on column raw.loads.source is 'file name, or - for a stream';
comment on column raw.loads.fingerprint is 'of the source''s content, by which an unfinished load is resumed';
comment on column raw.loads.tenant_id is 'the default tenant given';

create table raw.load_batches (
    batch_id bigint not null,
    tenant_id text not null,
    load_id bigint not null,
    received_at timestamptz not null,
    received bigint default 0 not null,
    accepted bigint default 0 not null,
    duplicate bigint default 0 not null,
    rejected bigint default 0 not null,
    no_consent bigint default 0 not null,
    erased_subject bigint default 0 not null,
    constraint load_batches_pkey primary key (batch_id, tenant_id),
    constraint load_batches_counts_add_up_check
        check (received = accepted + duplicate + rejected + no_consent + erased_subject)
);
create index load_batches_load_id_idx on raw.load_batches (load_id);
comment on table raw.load_batches is
    'One row per batch (the unit of commit) and tenant; lines of no readable tenant are (unknown).';

create table raw.event_types (
    tenant_id text not null,
    event_name text not null,
    aliases text[] default '{}' not null,
    category text not null,
    description text not null,
    version integer not null,
    is_active boolean not null,
    is_conversational boolean not null,
    attributes_schema jsonb not null,
    renames jsonb default '{}' not null,
    privacy jsonb default '{}' not null,
    origin text not null,
    updated_at timestamptz default now() not null,
    constraint event_types_pkey primary key (tenant_id, event_name),
    constraint event_types_origin_check check (origin in ('plan', 'custom'))
);
comment on table raw.event_types is
    'The tracking plan: one row per tenant and event type, shipped (plan) or registered at run time (custom).';
comment on column raw.event_types.tenant_id is '* for all tenants';
comment on column raw.event_types.is_conversational is 'whether its presence makes a session a conversation';
comment on column raw.event_types.attributes_schema is 'JSON Schema of the attributes, by canonical names';
comment on column raw.event_types.renames is 'attribute alias to canonical name';
comment on column raw.event_types.privacy is 'attribute to its privacy rule';

create table raw.erased_subjects (
    tenant_id text not null,
    subject_hmac text not null,
    erased_at timestamptz default now() not null,
    constraint erased_subjects_pkey primary key (tenant_id, subject_hmac)
);
comment on table raw.erased_subjects is
    'One row per subject erased under privacy law, whose events are no longer kept.';
comment on column raw.erased_subjects.subject_hmac is 'HMAC of tenant and user: the name itself is gone';

create table ops.changes (
    change_id bigint generated always as identity,
    model text not null,
    kind text not null,
    tenant_id text,
    id text,
    date date,
    constraint changes_pkey primary key (change_id)
);
create index changes_model_change_id_idx on ops.changes (model, change_id);
comment on table ops.changes is
    'One row per thing that changed in a model; kind all: the whole model, or all of a tenant.';

create table ops.watermarks (
    model text not null,
    upstream text not null,
    position bigint default 0 not null,
    built_at timestamptz,
    constraint watermarks_pkey primary key (model, upstream)
);
comment on table ops.watermarks is
    'One row per model and upstream: the last change (of raw: batch) that the model has taken in.';

create table ops.definitions (
    model text not null,
    tenant_id text not null,
    fingerprint text not null,
    constraint definitions_pkey primary key (model, tenant_id)
);
comment on table ops.definitions is 'One row per model and tenant: the settings its rows were built under.';

create table ops.raw_horizon (
    tenant_id text not null,
    frozen_before date not null,
    constraint raw_horizon_pkey primary key (tenant_id)
);
comment on table ops.raw_horizon is
    'One row per tenant whose raw events retention has dropped; days before it are kept as they are.';
"""


def upgrade() -> None:
    op.execute(TABLES)
