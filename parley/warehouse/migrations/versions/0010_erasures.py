"""Erasures asked for and done (ops.erasures); raw.erased_subjects refuses conversations too."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table ops.erasures (
            erasure_id bigint generated always as identity,
            tenant_id text not null,
            subject_hmacs text[] not null,
            requested_at timestamptz not null default now(),
            requested_by text,
            erased_at timestamptz,
            traces jsonb,
            rows_deleted jsonb,
            finished_at timestamptz,
            places_left jsonb,
            constraint erasures_pkey primary key (erasure_id)
        );
        comment on table ops.erasures is 'One row per erasure asked for: open until finished_at.';
        comment on column ops.erasures.subject_hmacs is 'of the person to erase: the name is not kept';
        comment on column ops.erasures.erased_at is
            'when the rows of the person were deleted, in one transaction';
        comment on column ops.erasures.traces is
            'ids to look for in what is left; null as soon as the work is done';
        comment on column ops.erasures.rows_deleted is 'by table';
        comment on column ops.erasures.finished_at is
            'when tables and files had followed and been searched';
        comment on column ops.erasures.places_left is
            'where something of the person was still found then, and how often';
        comment on table raw.erased_subjects is
            'One row per subject erased under privacy law, and per conversation of such a one alone; both are refused.';
        comment on column raw.erased_subjects.subject_hmac is
            'HMAC of tenant and user, or conversation: the name is gone';
    """)
