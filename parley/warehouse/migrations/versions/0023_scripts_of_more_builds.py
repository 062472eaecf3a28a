"""Scripts for every kind of build that goes without dbt, and what a seed's table holds (parley/build/plans.py)."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        delete from ops.plans;
        delete from ops.scripts;
        alter table ops.scripts drop column is_frozen;

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
        """
    )
