"""`parley consume`: events from a Kafka topic."""

from typing import Annotated

from parley.cli import console, typer

SECONDS_OF_ALERTS = 10  # that the end waits for their messages


def consume(
    brokers: Annotated[str, typer.Option(help="Kafka's brokers, as host:port, several with commas between.")],
    topic: Annotated[str, typer.Option(help="The topic: one JSON document per message.")],
    group: Annotated[str, typer.Option(help="The consumer group. Several consumers of one group share a topic.")] = (
        "parley"
    ),
    source_format: Annotated[str, typer.Option("--format", help="The messages' source format.")] = "parley",
    tenant: Annotated[str | None, typer.Option(help="The tenant of events that name none.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="One of librdkafka's, such as security.protocol=ssl; repeat for several.")
    ] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the topic's end.")] = False,
) -> None:
    """Land the messages of a Kafka topic, as `parley load` lands lines. SIGTERM or Ctrl-C lands what was fetched.

    Example: [bold]parley consume --brokers kafka-1:9092,kafka-2:9092 --topic events --tenant my-shop[/]
    """
    from dataclasses import asdict

    from parley.alerts.happenings import Watcher
    from parley.errors import ParleyError
    from parley.landing import kafka
    from parley.settings import Settings

    options = {}
    for given in option or ():
        name, equals, value = given.partition("=")
        if not equals:
            raise ParleyError(f"--option {given!r} has no value: write it as name=value.")
        options[name.strip()] = value.strip()
    of = kafka.Topic(brokers, topic, group, source_format, tenant, options)
    console.print(f"Landing {topic}. Ctrl-C or SIGTERM ends it.")
    settings = Settings.load()
    watcher = Watcher(settings, console.print)
    counts = kafka.consume(settings, of, say=console.print, until_end=until_end, on_landed=watcher.landed)
    watcher.close(SECONDS_OF_ALERTS)
    console.print(", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in asdict(counts).items()))
