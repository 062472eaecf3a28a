"""The input gate by tenant: verdicts per day and tenant, and what the last build left out."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table ops.input_validation
            add column tenant_id text not null default '*',
            drop constraint input_validation_pkey,
            add constraint input_validation_pkey primary key (day, tenant_id);
        alter table ops.input_validation alter column tenant_id drop default;
        -- what was judged of a day as a whole, by tenant
        insert into ops.input_validation (
            day, tenant_id, verdict, events, received, blocking, warning, batch_id, suite, page, judged_at,
            released_by, released_at, release_reason
        )
        select
            days.day, measured.tenant_id, found.verdict, measured.events, measured.received, found.blocking,
            found.warning, measured.batch_id, days.suite, days.page, days.judged_at,
            case when found.verdict = 'blocked' then days.released_by end,
            case when found.verdict = 'blocked' then days.released_at end,
            case when found.verdict = 'blocked' then days.release_reason end
        from ops.input_validation as days
        inner join (
            select
                day, tenant_id,
                coalesce(sum(value) filter (where metric = 'events'), 0)::bigint as events,
                coalesce(sum(base) filter (where metric = 'rejected_share'), 0)::bigint as received,
                coalesce(max(batch_id), 0) as batch_id
            from ops.input_measures
            where tenant_id <> '*'
            group by day, tenant_id
        ) as measured on days.day = measured.day
        cross join lateral (
            select
                count(*) filter (where severity = 'block') as blocking,
                count(*) filter (where severity <> 'block') as warning,
                case
                    when bool_or(severity = 'block') then 'blocked' when count(*) > 0 then 'warned' else 'passed'
                end as verdict
            from ops.input_failures
            where input_failures.day = days.day and input_failures.tenant_id = measured.tenant_id
        ) as found;
        update ops.input_validation as days
        set (blocking, warning, verdict, released_by, released_at, release_reason) = (
            select
                count(*) filter (where severity = 'block'),
                count(*) filter (where severity <> 'block'),
                case
                    when bool_or(severity = 'block') then 'blocked' when count(*) > 0 then 'warned' else 'passed'
                end,
                case when bool_or(severity = 'block') then days.released_by end,
                case when bool_or(severity = 'block') then days.released_at end,
                case when bool_or(severity = 'block') then days.release_reason end
            from ops.input_failures
            where input_failures.day = days.day and input_failures.tenant_id = '*'
        )
        where tenant_id = '*';
        create table ops.blocked_inputs (
            tenant_id text not null,
            day date not null,
            basis text not null,
            constraint blocked_inputs_pkey primary key (tenant_id, day, basis),
            constraint blocked_inputs_basis_check check (basis in ('arrived', 'happened'))
        );
        comment on table ops.input_validation is 'One row per day (UTC) and tenant that the input gate has judged.';
        comment on column ops.input_validation.tenant_id is '* for the day as a whole';
        comment on table ops.blocked_inputs is
            'One row per day (UTC) of a tenant that the last build left out of the tables.';
        comment on column ops.blocked_inputs.basis is
            'left out is what arrived on the day, or what happened on it';
    """)
