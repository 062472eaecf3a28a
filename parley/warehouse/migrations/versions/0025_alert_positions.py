"""How far rules over single events have looked (ops.alert_positions)."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.alert_positions (
            name text not null,
            batch_id bigint not null,
            constraint alert_positions_pkey primary key (name)
        );
        comment on table ops.alert_positions is 'One row per kind of rule over what lands: the last batch seen.';
        comment on column ops.alert_positions.name is 'events: rules over single events';
    """)
