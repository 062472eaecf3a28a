"""All commands of `parley`, in alphabetical order."""

import typer

from parley.cli import (
    alerts,
    anomalies,
    archive,
    audit,
    bi_role,
    build,
    consume,
    demo,
    doctor,
    env,
    events,
    export,
    export_subject,
    forget,
    formats,
    funnels,
    gaps,
    init,
    inputs,
    keys,
    load,
    metrics,
    migrate,
    replay,
    report,
    retention,
    serve,
    stop,
    summary,
    tenants,
    unload,
)

app = typer.Typer(
    help="The conversation-analytics warehouse on your own Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
app.add_typer(alerts.app, name="alerts")
app.add_typer(anomalies.app, name="anomalies")
app.add_typer(archive.app, name="archive")
app.add_typer(audit.app, name="audit")
app.add_typer(bi_role.app, name="bi-role")
app.command()(build.build)
app.command()(consume.consume)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(env.env)
app.add_typer(events.app, name="events")
app.command()(export.export)
app.command()(export_subject.export_subject)
app.command()(forget.forget)
app.add_typer(formats.app, name="formats")
app.add_typer(funnels.app, name="funnels")
app.add_typer(gaps.app, name="gaps")
app.command()(init.init)
app.add_typer(inputs.app, name="inputs")
app.add_typer(keys.app, name="keys")
app.command()(load.load)
app.add_typer(metrics.app, name="metrics")
app.command()(migrate.migrate)
app.command()(replay.replay_rejected)
app.command()(report.report)
app.command()(retention.retention)
app.command()(serve.serve)
app.command()(stop.stop)
app.command()(summary.summary)
app.add_typer(tenants.app, name="tenants")
app.command()(unload.unload)
