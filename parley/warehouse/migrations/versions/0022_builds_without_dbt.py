"""What a build without dbt goes by: the SQL as dbt ran it, and what is owed (parley/build/plans.py)."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        create table ops.owed (
            name text not null,
            kind text not null,
            reads text[] not null,
            is_owed boolean not null,
            settled_at timestamptz,
            constraint owed_pkey primary key (name),
            constraint owed_kind_check check (kind in ('check', 'table'))
        );
        comment on table ops.owed is
            'One row per check and per table that is made whole: whether what it reads has changed since.';
        comment on column ops.owed.reads is 'the tables whose changes it is owed after';
        comment on column ops.owed.settled_at is
            'when the check last passed on everything, or the table was last made';

        create table ops.scripts (
            name text not null,
            project text not null,
            is_frozen boolean not null,
            steps jsonb not null,
            constraint scripts_pkey primary key (name)
        );
        comment on table ops.scripts is 'One row per model: the SQL that rebuilds what changed, as dbt ran it.';
        comment on column ops.scripts.project is 'what the project''s files came to when dbt made it';
        comment on column ops.scripts.is_frozen is 'whether there was frozen history';

        create table ops.plans (
            project text not null,
            shape text not null,
            plan jsonb not null,
            constraint plans_pkey primary key (project)
        );
        comment on table ops.plans is
            'One row: the models, checks and analyses of the project that was built last, and what each reads.';
        comment on column ops.plans.project is 'what the project''s files came to';
        comment on column ops.plans.shape is 'what the columns of all tables and the views came to when it was built';

        create function ops.forget_taken_changes(models text[]) returns void language sql as $$
            delete from ops.changes
            where change_id <= coalesce(
                (
                    select min(position) from ops.watermarks
                    where watermarks.upstream = changes.model and watermarks.model = any (models)
                ),
                change_id
            )
        $$;
        comment on function ops.forget_taken_changes is
            'After a build of these models, which are all: changes that all of them have taken in are of no more use.';
        """
    )
