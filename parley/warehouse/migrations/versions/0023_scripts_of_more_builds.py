"""Scripts for every kind of build that goes without dbt, and what these and dbt share (parley/build/plans.py)."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        delete from ops.plans;
        drop table ops.scripts;  -- what dbt records again
        create table ops.scripts (
            name text not null,
            project text not null,
            steps jsonb not null,
            constraint scripts_pkey primary key (name)
        );
        comment on table ops.scripts is 'One row per model: the SQL that rebuilds what changed, as dbt ran it.';
        comment on column ops.scripts.project is 'what the project''s files came to when dbt made it';

        create function ops.content_of(target regclass) returns text language plpgsql stable as $$
        declare
            found text;
        begin
            execute format(
                'select coalesce(md5(string_agg(line::text, ''|'' order by line::text)), '''') from %s as line', target
            ) into found;
            return found || ' ' || (
                select md5(string_agg(attname || ' ' || format_type(atttypid, atttypmod), '|' order by attname))
                from pg_attribute where attrelid = target and attnum > 0 and not attisdropped
            );
        end
        $$;
        comment on function ops.content_of is 'What the rows of a table come to, and its columns: two sums.';

        create function ops.owe_readers(changed text) returns void language sql as $$
            update ops.owed set is_owed = true
            from (
                select name from ops.owed
                where not is_owed and changed = any (reads)
                order by name
                for update
            ) as readers
            where owed.name = readers.name
        $$;
        comment on function ops.owe_readers is
            'After a change of a table: checks that read it have to pass again, tables to be built again. Rows are'
            ' locked in one order, so that changes at the same time wait for each other and never both.';
        """
    )
