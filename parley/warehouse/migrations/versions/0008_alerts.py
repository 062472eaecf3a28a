"""Alerts, their history and their messages (ops.alerts and its companions)."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.alerts (
            alert_id bigint generated always as identity,
            rule_id text not null,
            tenant_id text not null,
            subject text not null,
            state text not null,
            since timestamptz not null,
            severity text not null,
            detail text not null,
            observed double precision,
            expected double precision,
            day date,
            evaluated_at timestamptz not null,
            breached_at timestamptz,
            incident integer not null,
            fired_at timestamptz,
            told_at timestamptz,
            escalated_at timestamptz,
            firings timestamptz[] not null,
            acknowledged_at timestamptz,
            acknowledged_by text,
            note text,
            constraint alerts_pkey primary key (alert_id),
            constraint alerts_key unique (rule_id, tenant_id, subject),
            constraint alerts_state_check check (
                state in ('OK', 'PENDING', 'FIRING', 'ACKNOWLEDGED', 'RESOLVED', 'NO_DATA')
            )
        );
        comment on table ops.alerts is 'One row per rule, tenant and subject: where the alert stands.';
        comment on column ops.alerts.tenant_id is '*: of no tenant, such as a failed run';
        comment on column ops.alerts.subject is 'the run, check or build that failed; blank for what is measured';
        comment on column ops.alerts.detail is 'what was last seen, in plain words';
        comment on column ops.alerts.expected is 'the threshold, or what the same weekdays had';
        comment on column ops.alerts.day is 'the tenant-local day that was judged';
        comment on column ops.alerts.breached_at is 'when it was last seen to be wrong';
        comment on column ops.alerts.incident is 'how often it has fired';
        comment on column ops.alerts.told_at is 'of the last message while it fires';
        comment on column ops.alerts.firings is 'the last ones, by which flapping is told';
        create table ops.alert_transitions (
            transition_id bigint generated always as identity,
            alert_id bigint not null,
            from_state text not null,
            to_state text not null,
            at timestamptz not null,
            reason text not null,
            constraint alert_transitions_pkey primary key (transition_id)
        );
        create index alert_transitions_alert_id_idx on ops.alert_transitions (alert_id);
        comment on table ops.alert_transitions is 'One row per change of an alert''s state.';
        create table ops.alert_deliveries (
            delivery_id bigint generated always as identity,
            alert_id bigint not null,
            dedupe_key text not null,
            channel text not null,
            notice text not null,
            title text not null,
            body text not null,
            tone text not null,
            status text default 'pending' not null,
            attempts integer default 0 not null,
            created_at timestamptz default now() not null,
            next_attempt_at timestamptz default now() not null,
            sent_at timestamptz,
            last_error text,
            constraint alert_deliveries_pkey primary key (delivery_id),
            constraint alert_deliveries_key unique (dedupe_key, channel),
            constraint alert_deliveries_status_check check (status in ('pending', 'sent', 'failed'))
        );
        create index alert_deliveries_alert_id_channel_idx on ops.alert_deliveries (alert_id, channel)
            where status = 'pending';
        comment on table ops.alert_deliveries is 'One row per message and channel: the outbox of alerts.';
        comment on column ops.alert_deliveries.dedupe_key is 'the same however often it is sent';
        comment on column ops.alert_deliveries.notice is 'fired, reminder, escalated or resolved';
    """)
