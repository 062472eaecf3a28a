"""The input gate: figures, verdicts and failures per day, and an index by which a day's events are found."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create index events_occurred_at_idx on raw.events using brin (occurred_at) with (autosummarize = on);
        create table ops.input_measures (
            day date not null,
            tenant_id text not null,
            event_name text not null,
            metric text not null,
            value double precision not null,
            base bigint not null,
            batch_id bigint,
            constraint input_measures_pkey primary key (day, tenant_id, event_name, metric)
        );
        create table ops.input_validation (
            day date not null,
            verdict text not null,
            events bigint not null,
            received bigint not null,
            blocking bigint not null,
            warning bigint not null,
            batch_id bigint not null,
            suite text not null,
            page text,
            judged_at timestamptz not null,
            released_by text,
            released_at timestamptz,
            release_reason text,
            constraint input_validation_pkey primary key (day),
            constraint input_validation_verdict_check check (verdict in ('passed', 'warned', 'blocked')),
            constraint input_validation_release_check check (released_at is null or verdict = 'blocked')
        );
        create table ops.input_failures (
            day date not null,
            expectation text not null,
            tenant_id text not null,
            event_name text not null,
            severity text not null,
            metric text not null,
            observed double precision not null,
            minimum double precision,
            maximum double precision,
            description text not null,
            constraint input_failures_pkey primary key (day, expectation, tenant_id, event_name)
        );
        comment on table ops.input_measures is
            'One row per day (UTC), tenant, event type and metric of the raw events: parley.quality_gate.';
        comment on column ops.input_measures.tenant_id is '* for the day as a whole';
        comment on column ops.input_measures.event_name is '* for all event types';
        comment on column ops.input_measures.base is 'events or lines that it was measured on';
        comment on column ops.input_measures.batch_id is 'the newest batch among them';
        comment on table ops.input_validation is 'One row per day (UTC) that the input gate has judged.';
        comment on column ops.input_validation.events is 'that happened on the day';
        comment on column ops.input_validation.received is 'lines that arrived on the day';
        comment on column ops.input_validation.blocking is 'figures out of bounds that block';
        comment on column ops.input_validation.warning is 'figures out of bounds that warn';
        comment on column ops.input_validation.batch_id is 'the newest batch with anything of the day; 0: none';
        comment on column ops.input_validation.suite is 'fingerprint of the expectations it was judged by';
        comment on column ops.input_validation.page is 'file of its Data Docs; null where nothing was expected';
        comment on table ops.input_failures is 'One row per figure of a day that is outside what is expected of it.';
        comment on column ops.input_failures.tenant_id is '* for the day as a whole';
        comment on column ops.input_failures.event_name is '* for all event types';
    """)
