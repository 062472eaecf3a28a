"""Who did it, in which order, and as which visitor: more of the envelope in raw.events and raw.event_types."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table raw.events
            add column anonymous_id text,
            add column site_id text,
            add column sequence bigint,
            add column actor text;
        comment on column raw.events.anonymous_id is 'of a visitor; hashed where user_id is';
        comment on column raw.events.sequence is 'place among the events of one instant';
        comment on column raw.events.actor is 'whose doing it is; null: as the event type says';
        create index events_tenant_id_anonymous_id_idx
            on raw.events (tenant_id, anonymous_id) where anonymous_id is not null;

        alter table raw.event_types
            add column actor text not null default 'customer',
            add column rank text not null default 'customer',
            add constraint event_types_actor_check check (actor in ('customer', 'assistant', 'agent', 'system')),
            add constraint event_types_rank_check check (rank in ('start', 'customer', 'answer', 'end', 'afterwards'));
        comment on column raw.event_types.actor is 'whose doing it is; an event may say otherwise';
        comment on column raw.event_types.rank is 'place among the events of one instant';
    """)
