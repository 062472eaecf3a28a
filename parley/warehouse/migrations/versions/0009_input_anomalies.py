"""What is out of the usual in the input (ops.input_anomalies)."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.input_anomalies (
            tenant_id text not null,
            event_name text not null,
            metric text not null,
            date date not null,
            observed double precision not null,
            expected double precision,
            lower double precision,
            upper double precision,
            score double precision,
            direction text,
            is_anomaly boolean not null,
            severity text,
            training_days bigint not null,
            reason text,
            constraint input_anomalies_pkey primary key (tenant_id, event_name, metric, date)
        );
        comment on table ops.input_anomalies is
            'One row per tenant, event type, metric of the input and day that is over: parley.analytics.anomalies.';
    """)
