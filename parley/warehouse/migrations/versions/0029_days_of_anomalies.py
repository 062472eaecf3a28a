"""Anomalies are computed of days whose input is another than it was, and not of all."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.input_anomalies add column residual double precision;
        comment on column ops.input_anomalies.residual is
            'of a count, beyond what is expected of any day of the month: the same days of later months go by it';
        create table ops.anomaly_days (
            tenant_id text not null,
            date date not null,
            fingerprint numeric not null,
            primary key (tenant_id, date)
        );
        comment on column ops.anomaly_days.fingerprint is
            'of the day''s rows in marts.input_metrics, 0 without any';
        comment on table ops.anomaly_days is
            'One row per tenant and day whose input was checked, and the last such day: of others rows are computed.';
        -- computed again by the next build
        delete from ops.input_anomalies;
        delete from ops.definitions where model = 'analyses.anomalies';
    """)
