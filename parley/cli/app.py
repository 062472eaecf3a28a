"""All commands of `parley`, in alphabetical order."""

import typer

from parley.cli import demo, events

app = typer.Typer(
    help="The conversation-analytics warehouse on your own Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
app.command()(demo.demo)
app.add_typer(events.app, name="events")
