"""What making a rejected event private changed in it, so that a replay never lands other data than was sent."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        r"""
        alter table raw.rejected_events add column altered jsonb, add column not_replayable text;
        comment on column raw.rejected_events.altered is
            'what making it private changed, and how: a replay treats it in the same way';
        comment on column raw.rejected_events.not_replayable is
            'why it cannot land as it was sent; a sentence to act on';
        -- of earlier rows nothing says what was changed: what bears a mask is not known to be what was sent
        update raw.rejected_events
        set not_replayable =
            'Parts of the event were made private before Parley noted which: send it again from its source.'
        where replayed_by is null and payload::text ~ '\[(masked|email|phone|card|iban|ip)\]|\uFFFD';
    """
    )
