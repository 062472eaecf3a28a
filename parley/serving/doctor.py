"""Whether everything that Parley stands on is in order, and what to do where it is not."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from parley.alerts import channels, outbox
from parley.alerts import rules as alert_rules
from parley.build import builds, dbt
from parley.config import report_recipients, tenants, tracking_plan
from parley.errors import ParleyError
from parley.landing import loads, partitions
from parley.quality_gate import expectations, validation
from parley.settings import Settings
from parley.warehouse import database, embedded, migrate, secret, tenant_roles
from parley.warehouse.database import Connection

Status = Literal["good", "look", "broken"]

PYTHON = ((3, 11), (3, 14))
LITTLE_SPACE = 5 * 1024**3
OLD_BUILD = timedelta(days=2)
FIX = "parley doctor --fix"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it (blank where all is well)."""

    name: str
    status: Status
    found: str
    remedy: str = ""


def examine(settings: Settings, *, fix: bool = False) -> list[Finding]:
    """Every check, in the order in which one rests on another; what rests on something missing is left out.

    With `fix`, what can simply be made is made first: the tables of raw and ops, event types, partitions ahead.
    """
    findings = [_python(), _secret(settings), _space(settings), _checked("tracking plan", lambda: _plan(settings))]
    findings.append(_checked("Postgres", lambda: _postgres(settings)))
    if findings[-1].status == "broken":
        return findings
    if fix:
        _fix(settings)
    with database.connect(settings) as connection:
        findings += [_configuration(connection), _checked("tenants seed", lambda: _tenants(settings, connection))]
        findings.append(_tables(connection))
        if findings[-1].status == "good":
            findings += [
                _checked("event types", lambda: _event_types(settings, connection)),
                _partitions(connection, datetime.now(UTC).date()),
                *_other_secret(settings, connection),
                _loads(connection),
                _checked("input gate", lambda: _input_gate(settings, connection)),
                _arrears(connection),
                _last_build(connection, datetime.now(UTC)),
                _isolation(connection),
                _checked("alerts", lambda: _alerts(settings, connection)),
                _checked("reports", lambda: _reports(settings)),
            ]
    return findings


def _checked(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ParleyError as error:
        return Finding(name, "broken", str(error))


def _fix(settings: Settings) -> None:
    with migrate.connect(settings) as connection:
        tracking_plan.sync(connection, settings.project / tracking_plan.FOLDER)
        partitions.ensure_ahead(connection, datetime.now(UTC).date())
        if migrate.current(connection) == migrate.head():
            connection.execute("select ops.protect_everything()")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        return Finding("Python", "good", version)
    return Finding("Python", "broken", version, "Parley runs on 3.11 to 3.13: delete .venv and run make PYTHON=…")


def _secret(settings: Settings) -> Finding:
    path = settings.home / "secret"
    is_given = "PARLEY_SECRET" in os.environ
    if not is_given and not path.exists():
        return Finding("secret", "good", "made when the first events land")
    try:
        _ = settings.secret
    except ParleyError as error:
        return Finding("secret", "broken", "none", str(error))
    if is_given:
        return Finding("secret", "good", "given in PARLEY_SECRET")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("secret", "broken", f"{path} may be read by others ({mode:04o})", f"chmod 600 {path}")
    return Finding("secret", "good", f"{path}; keep a copy of it: without it erased customers are not recognised")


def _other_secret(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Where there is a secret, and it is not the one that the warehouse knows its people by."""
    if "PARLEY_SECRET" in os.environ or (settings.home / "secret").exists():
        try:
            secret.check(connection, settings)
        except ParleyError as error:
            yield Finding("secret", "broken", "of another warehouse", str(error))


def _space(settings: Settings) -> Finding:
    home = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(home).free
    found = f"{free / 1024**3:,.1f} GB free under {settings.home}"
    if free < LITTLE_SPACE:
        return Finding("disk", "look", found, "make room: a million events take about 2 GB with their tables")
    return Finding("disk", "good", found)


def _plan(settings: Settings) -> Finding:
    plan = tracking_plan.load(settings.project / tracking_plan.FOLDER)
    return Finding("tracking plan", "good", f"{len(plan.types)} event types")


def _postgres(settings: Settings) -> Finding:
    with database.connect(settings) as connection:
        info = connection.info
        whose = "embedded" if database.is_embedded(settings) else "your own"
        where = f"{whose}, {info.dbname} at {info.host or 'the local socket'}, as {info.user}"
        version, minor = divmod(info.server_version, 10000)
    if version > max(embedded.SUPPORTED_VERSIONS):
        return Finding("Postgres", "look", f"{version}.{minor}, {where}", "Parley is tested on 16 to 18")
    return Finding("Postgres", "good", f"{version}.{minor}, {where}")


def _configuration(connection: Connection) -> Finding:
    row = connection.execute(
        "select current_setting('timezone'), current_setting('fsync'),"
        " pg_size_bytes(current_setting('shared_buffers')) / 2^20, pg_size_bytes(current_setting('work_mem')) / 2^20"
    ).fetchone()
    assert row
    time_zone, fsync, buffers, work = str(row[0]), row[1], float(str(row[2])), float(str(row[3]))
    found = f"sessions in {time_zone}, shared_buffers {buffers:,.0f} MB, work_mem {work:,.0f} MB, fsync {fsync}"
    if time_zone != "UTC":
        return Finding("settings", "broken", found, "unset PGTZ, which overrules Parley's UTC")
    if fsync != "on":
        return Finding("settings", "look", found, "with fsync off, a crash of the machine loses the database")
    if buffers <= 128 or work < 16:
        return Finding(
            "settings", "look", found, "slow for analytics: shared_buffers a quarter of memory, work_mem 64MB"
        )
    return Finding("settings", "good", found)


def _tenants(settings: Settings, connection: Connection) -> Finding:
    listed = tenants.read(settings.project / tenants.SEED, connection)
    return Finding("tenants seed", "good", f"{len(listed)} tenants")


def _tables(connection: Connection) -> Finding:
    revision, head = migrate.current(connection), migrate.head()
    if revision is None:
        return Finding("tables", "look", "none yet", f"parley load FILE makes them, and so does {FIX}")
    if revision > head:
        return Finding("tables", "broken", f"revision {revision}; this Parley knows {head}", "use the newer Parley")
    if revision < head:
        return Finding("tables", "look", f"revision {revision} of {head}", f"the next command migrates them, or {FIX}")
    return Finding("tables", "good", f"revision {revision}")


def _event_types(settings: Settings, connection: Connection) -> Finding:
    registered = tracking_plan.registered(connection)
    custom = sum(kind.origin == "custom" for kind in registered)
    planned = tracking_plan.load(settings.project / tracking_plan.FOLDER).types
    existing = {kind.event_name: kind for kind in registered if kind.origin == "plan"}
    differing = sum(existing.get(kind.event_name) != kind for kind in planned) + len(
        existing.keys() - {kind.event_name for kind in planned}
    )
    found = f"{len(registered) - custom} shipped, {custom} custom"
    if differing:
        found = f"{found}; {differing} differ from {tracking_plan.FOLDER}/"
        return Finding("event types", "look", found, f"the next load or build registers them, or {FIX}")
    return Finding("event types", "good", found)


def _partitions(connection: Connection, today: date) -> Finding:
    following = (today.replace(day=1) + timedelta(days=31)).strftime("%Y-%m")
    months = partitions.attached(connection)
    if following in months:
        return Finding("partitions", "good", f"{len(months)}, up to {months[-1]}")
    return Finding("partitions", "look", f"none yet for {following}", f"the next load makes it, or {FIX}")


def _loads(connection: Connection) -> Finding:
    counts = connection.execute("select status, count(*) from raw.loads group by status").fetchall()
    at_work = loads.at_work(connection)
    unfinished = connection.execute(
        "select source from raw.loads where status <> 'complete' and load_id <> all(%s) order by load_id desc",
        [list(at_work)],
    ).fetchall()
    total = sum(int(str(count)) for _, count in counts)
    if unfinished:
        found = f"{len(unfinished)} of {total} did not come to their end, the last of {unfinished[0][0]}"
        return Finding("loads", "look", found, "load the same file again: it goes on where it stopped")
    return Finding("loads", "good", f"{total}, of which {len(at_work)} at work")


def _input_gate(settings: Settings, connection: Connection) -> Finding:
    expected = expectations.read(settings.project / expectations.SEED)
    remedy = "parley inputs list says why; fix it, or parley inputs release"
    if stopping := validation.stopping(connection):
        found = f"{len(stopping)} days stop every build, the last of them {stopping[-1].day}"
        return Finding("input gate", "broken", found, remedy)
    if left_out := validation.left_out(connection):
        found = (
            f"{len(left_out)} days of tenants are left out, the last is {left_out[-1].day} of {left_out[-1].tenant_id}"
        )
        return Finding("input gate", "look", found, remedy)
    return Finding("input gate", "good", f"{len(expected)} expectations, no day is blocked")


def _arrears(connection: Connection) -> Finding:
    """What has landed, or was changed upstream, and has not been taken in by some table."""
    row = connection.execute(
        """
        select
            (select count(*) from raw.load_batches where batch_id > coalesce((
                select position from ops.watermarks where model = 'stg_events' and upstream = 'raw'
            ), 0)),
            (select count(distinct watermarks.model) from ops.watermarks
            join ops.changes on changes.model = watermarks.upstream and changes.change_id > watermarks.position)
        """
    ).fetchone()
    assert row
    batches, behind = int(str(row[0])), int(str(row[1]))
    if builds.is_running(connection):
        return Finding("tables up to date", "good", "a build is at work")
    if batches or behind:
        found = f"{batches} batches to take in, {behind} tables behind others"
        return Finding("tables up to date", "look", found, "parley build")
    return Finding("tables up to date", "good", "everything that landed is in them")


def _isolation(connection: Connection) -> Finding:
    """Whether tenants' roles see their own rows only, and everybody who is let in sees any."""
    if faults := tenant_roles.faults(connection):
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        return Finding("isolation", "broken", f"{faults[0]}{more}", f"parley build, or {FIX}")
    logins = tenant_roles.logins(connection)
    found = f"every table of facts and marts is walled by tenant; {len(logins)} logins of tenants"
    if missing := [login.role for login in logins if not login.is_there]:
        found = f"{len(missing)} logins are not on this server, such as {missing[0]}"
        return Finding(
            "isolation", "look", found, "parley bi-role create makes one again, make bi those of the dashboards"
        )
    if blind := tenant_roles.without_rows(connection):
        found = f"{blind[0]} may read facts and marts, and no policy shows it a row"
        return Finding("isolation", "look", found, f'grant "{connection.info.dbname}_reader" to "{blind[0]}"')
    if logins and (open_functions := tenant_roles.forbidden(connection)):
        found = f"{found}; everybody may call {len(open_functions)} functions that tenants need not"
        return Finding("isolation", "look", found, "run parley bi-role create as a superuser once (docs/security.md)")
    return Finding("isolation", "good", found)


def _alerts(settings: Settings, connection: Connection) -> Finding:
    """Whether alerts reach anybody."""
    rules = [rule for rule in alert_rules.read(settings.project / alert_rules.SEED) if rule.enabled]
    known = channels.load(settings)
    file = settings.home / channels.FILE
    if file.exists() and stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("alerts", "broken", f"{file} holds secrets and may be read by others", f"chmod 600 {file}")
    found = f"{len(rules)} rules, {len(known)} channels"
    if undelivered := outbox.undelivered(connection):
        return Finding("alerts", "broken", "; ".join(undelivered), "fix the channel, then parley alerts deliver")
    if missing := alert_rules.missing_channels(rules, known):
        found = f"{found}; {', '.join(missing)} not set up, so that nobody is told"
        return Finding("alerts", "look", found, "parley alerts channels says how")
    return Finding("alerts", "good", found)


def _reports(settings: Settings) -> Finding:
    """Whether reports reach those who are to get them."""
    rows = report_recipients.read(settings.project / report_recipients.SEED)
    if missing := sorted(report_recipients.channels(rows).difference(channels.load(settings))):
        found = f"{', '.join(missing)} not set up, so that nobody gets what is to go there"
        return Finding("reports", "look", found, "parley alerts channels says how")
    return Finding("reports", "good", f"{len(rows)} rows of recipients")


def _last_build(connection: Connection, now: datetime) -> Finding:
    row = connection.execute(
        "select finished_at, errors + failed, built, passed, problems from ops.builds order by finished_at desc limit 1"
    ).fetchone()
    if row is None:
        return Finding("last build", "look", "none yet", "parley build")
    finished_at, wrong, built, passed, problems = row
    assert isinstance(finished_at, datetime)
    assert isinstance(problems, list)
    found = f"{finished_at:%Y-%m-%d %H:%M} UTC: {built} tables built, {passed} checks passed, {wrong} wrong"
    if wrong:
        names = ", ".join(problem["name"] for problem in problems if problem["status"] != "warn")
        return Finding("last build", "broken", found, f"read {dbt.LOG} about {names}, then parley build")
    if now - finished_at > OLD_BUILD:
        return Finding("last build", "look", found, "parley build, or let Dagster do it: make ui")
    return Finding("last build", "good", found)
