"""The input gate validates, and what it comes to is a result (ops.input_validation)."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.input_validation rename column verdict to result;
        alter table ops.input_validation rename column judged_at to validated_at;
        alter table ops.input_validation rename constraint input_validation_verdict_check
            to input_validation_result_check;
        do $names$
        declare
            renamed record;
        begin
            -- Postgres 18 names what must not be null, earlier ones do not
            for renamed in
                select conname as old, replace(replace(conname, 'verdict', 'result'), 'judged', 'validated') as new
                from pg_constraint
                where conrelid = 'ops.input_validation'::regclass
                    and conname in ('input_validation_verdict_not_null', 'input_validation_judged_at_not_null')
            loop
                execute format('alter table ops.input_validation rename constraint %I to %I', renamed.old, renamed.new);
            end loop;
        end
        $names$;
        comment on table ops.input_validation is
            'One row per day (UTC) and tenant that the input gate has validated.';
        comment on column ops.input_validation.suite is 'fingerprint of the expectations it was validated by';
        comment on column ops.builds.as_of is 'the "now" that outcomes are computed as of';
        comment on column raw.events.schema_version is 'version of the event type it was validated by';
        comment on table raw.rejected_events is 'One row per rejected line.';
        comment on column raw.rejected_events.payload is 'the event as received, redacted; null where it is no JSON';
        comment on table raw.erased_subjects is
            'One row per subject erased under privacy law, and per conversation of theirs alone; both are rejected.';
    """)
