"""`parley forget`: erase a person."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from parley.cli import check_tenant, console
from parley.cli.load import whoami
from parley.errors import ParleyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parley.people.erasure import Outcome


def forget(
    tenant: Annotated[str | None, typer.Option(help="The tenant whose customer it is.")] = None,
    user: Annotated[str | None, typer.Option(help="The person's user_id, as its producers write it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")] = False,
    request: Annotated[
        bool, typer.Option("--request", help="Only ask for it: Dagster's job forget, or --open, does it.")
    ] = False,
    all_open: Annotated[bool, typer.Option("--open", help="Bring all erasures asked for to their end.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only search tables and files for the person.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    by: Annotated[str | None, typer.Option(help="Who is noted in the audit log.", show_default="you")] = None,
) -> None:
    """Erase a person: every row, everything made of it, and what is on disk. It cannot be undone.

    Later events of the person are counted as erased_subject, and not kept. Killed half-way, it goes on with --open.

    Example: [bold]parley forget --tenant salon-paris --user u-0f8fb75c9e402a72 --dry-run[/]
    """
    from parley.people import erasure
    from parley.settings import Settings
    from parley.warehouse import migrate

    settings = Settings.load()
    actor = by or whoami()
    if all_open:
        if tenant or user or dry_run or request or verify:
            raise ParleyError("--open brings every open erasure to its end: leave out the other options.")
        _work_off(actor)
        return
    if not tenant or not user:
        raise ParleyError("Whom to erase is missing: give --tenant and --user, or --open for those asked for already.")
    check_tenant(settings, tenant)
    if verify:
        places = erasure.search(settings, tenant, user)
        _show_places(places)
        if places:
            raise typer.Exit(1)
        return
    if dry_run:
        _show_rows(erasure.preview(settings, tenant, user), "would be deleted")
        return
    if not yes and not request:
        typer.confirm(f"Erase everything that is held of this person of {tenant}, for good?", abort=True)
    with migrate.connect(settings, autocommit=True) as connection:
        number = erasure.request(connection, settings, tenant, user, actor)
    if request:
        console.print(f"Erasure {number} is asked for: Dagster's job forget or `parley forget --open` does it.")
        return
    _work_off(actor)


def _work_off(actor: str | None) -> None:
    from parley.people import erasure
    from parley.settings import Settings

    with console.status("") as status:
        outcomes = erasure.work_off(
            Settings.load(), by=actor, on_step=lambda step: status.update(f"{step.capitalize()} …")
        )
    if not outcomes:
        console.print("No erasure is open.")
    for outcome in outcomes:
        _show(outcome)
    if any(outcome.places_left for outcome in outcomes):
        raise typer.Exit(1)


def _show(outcome: "Outcome") -> None:
    console.print(f"Erasure {outcome.erasure_id} of {escape(outcome.tenant_id)} is done.", style="bold")
    _show_rows(outcome.rows_deleted, "deleted")
    _show_places(outcome.places_left)


def _show_rows(rows: "Mapping[str, int]", what: str) -> None:
    from rich.table import Table

    if not rows:
        console.print("Nothing is held of such a person.")
        return
    table = Table("table", f"rows {what}", box=None, header_style="bold")
    table.columns[1].justify = "right"
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    console.print(table)


def _show_places(places: "Mapping[str, int]") -> None:
    if not places:
        console.print("No table and no file names the person.")
        return
    console.print("The person is still named or quoted in:")
    for place, times in places.items():
        console.print(f"  {escape(place)}" + (f" ({times:,})" if times else ""), soft_wrap=True)
    console.print("Delete or rewrite these; docs/privacy.md says which are whose.")
