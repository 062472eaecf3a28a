"""What a build changed in each incremental table: `ops.rebuilds`, which the strategy writes (macros/rebuild)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg.rows import class_row

from parley.warehouse.database import Connection

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What a build changed in a table; a table of which it changed nothing has none."""

    model: str
    rows_added: int = 0
    rows_changed: int = 0
    rows_removed: int = 0
    first_days: tuple[date, ...] = ()
    """Of each stretch of tenant-local days that these rows are of; none where rows are of no day."""
    last_days: tuple[date, ...] = ()
    is_whole: bool = False
    """Whether the table was built as a whole: nobody counted what that changed."""

    @property
    def stretches(self) -> list[tuple[date, date]]:
        return [*zip(self.first_days, self.last_days, strict=True)]

    @property
    def days(self) -> int:
        return sum((last - first + _ONE_DAY).days for first, last in self.stretches)


@dataclass(frozen=True, slots=True)
class Finished:
    """A build that came to its end."""

    build_id: str
    as_of: datetime
    finished_at: datetime
    is_everything: bool
    """Whether it was asked for everything, and nothing was left out because of an error."""
    problems: tuple[str, ...]
    """Names of the tables and checks that did not succeed."""


def finished(connection: Connection, after: datetime | None = None) -> list[Finished]:
    """The builds that ended after a time, or all, in the order of their ends."""
    with connection.cursor(row_factory=class_row(Finished)) as cursor:
        return cursor.execute(
            """
            select
                build_id, as_of, finished_at,
                errors = 0 and skipped = 0 and command = 'build' and arguments -> 'select' = '[]' as is_everything,
                array(select problem ->> 'name' from jsonb_array_elements(problems) as problem order by 1) as problems
            from ops.builds
            where %(after)s::timestamptz is null or finished_at > %(after)s
            order by finished_at, build_id
            """,
            {"after": after},
        ).fetchall()


def of_build(connection: Connection, build_id: str, model: str | None = None) -> list[Rebuild]:
    """What this build has changed so far, in one table or in all, by name."""
    with connection.cursor(row_factory=class_row(Rebuild)) as cursor:
        return cursor.execute(
            """
            select
                model,
                coalesce(rows_added, 0) as rows_added,
                coalesce(rows_changed, 0) as rows_changed,
                coalesce(rows_removed, 0) as rows_removed,
                array(select lower(stretch) from unnest(days) as stretch order by stretch) as first_days,
                array(select upper(stretch) - 1 from unnest(days) as stretch order by stretch) as last_days,
                rows_added is null as is_whole
            from ops.rebuilds
            where build_id = %(build)s and (%(model)s::text is null or model = %(model)s)
            order by model
            """,
            {"build": build_id, "model": model},
        ).fetchall()
