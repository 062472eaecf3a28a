"""The tables of `raw` (what landed) and `ops` (state of the incremental build), as docs/design.md describes them.

`parley.warehouse.migrate` makes them in a database. A change here needs a new migration; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, DATEMULTIRANGE, JSONB

from parley.warehouse.names import EVERY_TENANT, UNKNOWN_TENANT

RAW = "raw"
OPS = "ops"

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
batch_id = Sequence("batch_id", schema=RAW, metadata=metadata, data_type=BigInteger)

_instant = DateTime(timezone=True)
COUNTS = ("accepted", "duplicate", "rejected", "no_consent", "erased_subject")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _counts_add_up() -> CheckConstraint:
    return CheckConstraint(f"received = {' + '.join(COUNTS)}", name="counts_add_up")


events = Table(
    "events",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("event_name", Text, nullable=False),
    Column("occurred_at", _instant, nullable=False),
    Column("received_at", _instant, nullable=False),
    Column("conversation_id", Text),
    Column("session_id", Text),
    Column("user_id", Text, comment="pseudonymous, or hashed where the tenant's setting says so"),
    Column("source", Text),
    Column("attributes", JSONB, nullable=False),
    Column("context", JSONB),
    Column("schema_version", Integer, nullable=False, comment="version of the event type it was validated by"),
    Column("load_id", BigInteger, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("anonymous_id", Text, comment="of a visitor; hashed where user_id is"),
    Column("site_id", Text),
    Column("sequence", BigInteger, comment="place among the events of one instant"),
    Column("actor", Text, comment="whose doing it is; null: as the event type says"),
    Index(None, "batch_id"),
    # finds what a tie of a visitor to a user changes; events without a visitor are not in it
    Index(None, "tenant_id", "anonymous_id", postgresql_where=text("anonymous_id is not null")),
    # costs landing next to nothing, and finds a day in its month as far as events land in the order they happened
    Index(None, "occurred_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    schema=RAW,
    comment="One row per accepted event. Identity is raw.event_keys; partitioned by month of occurred_at.",
    postgresql_partition_by="RANGE (occurred_at)",
)

event_keys = Table(
    "event_keys",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    schema=RAW,
    comment="One row per event ever accepted: its identity, across partitions and past retention.",
)

rejected_events = Table(
    "rejected_events",
    metadata,
    Column("rejected_id", BigInteger, Identity(always=True), primary_key=True),
    Column("load_id", BigInteger, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("line_number", BigInteger),
    Column("tenant_id", Text),
    Column("event_name", Text),
    Column("received_at", _instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("path", Text, comment="JSON path of what is wrong"),
    Column("message", Text, nullable=False, comment="a sentence to act on"),
    Column("payload", JSONB, comment="the event as received, redacted; null where it is no JSON"),
    Column("replayed_by", BigInteger, comment="load_id of the replay that landed it"),
    Column("altered", JSONB, comment="what making it private changed, and how: a replay treats it in the same way"),
    Column("not_replayable", Text, comment="why it cannot land as it was sent; a sentence to act on"),
    Index(None, "load_id"),
    schema=RAW,
    comment="One row per rejected line.",
)

loads = Table(
    "loads",
    metadata,
    Column("load_id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False, comment="file name, or - for a stream"),
    Column("fingerprint", Text, comment="of the source's content, by which an unfinished load is resumed"),
    Column("dialect", Text, nullable=False),
    Column("tenant_id", Text, comment="the default tenant given"),
    Column("loaded_by", Text),
    Column("started_at", _instant, nullable=False, server_default=func.now()),
    Column("finished_at", _instant),
    Column("status", Text, nullable=False, server_default="running"),
    _count("lines_done"),
    _count("received"),
    *map(_count, COUNTS),
    Column("last_batch_id", BigInteger),
    _counts_add_up(),
    CheckConstraint("status in ('running', 'complete', 'failed')", name="status"),
    Index(None, "fingerprint"),
    schema=RAW,
    comment="One row per load: a file or a stream.",
)

load_batches = Table(
    "load_batches",
    metadata,
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", Text, primary_key=True),
    Column("load_id", BigInteger, nullable=False),
    Column("received_at", _instant, nullable=False),
    _count("received"),
    *map(_count, COUNTS),
    Column(
        "resent",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="lines of a file that had landed before, but those accepted now: among received",
    ),
    _counts_add_up(),
    Index(None, "load_id"),
    schema=RAW,
    comment=f"One row per batch (the unit of commit) and tenant; lines of no readable tenant are {UNKNOWN_TENANT}.",
)

event_types = Table(
    "event_types",
    metadata,
    Column("tenant_id", Text, primary_key=True, comment=f"{EVERY_TENANT} for all tenants"),
    Column("event_name", Text, primary_key=True),
    Column("aliases", ARRAY(Text), nullable=False, server_default="{}"),
    Column("category", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("is_conversational", Boolean, nullable=False, comment="whether its presence makes a session a conversation"),
    Column("attributes_schema", JSONB, nullable=False, comment="JSON Schema of the attributes, by canonical names"),
    Column("renames", JSONB, nullable=False, server_default="{}", comment="attribute alias to canonical name"),
    Column("privacy", JSONB, nullable=False, server_default="{}", comment="attribute to its privacy rule"),
    Column("origin", Text, nullable=False),
    Column("updated_at", _instant, nullable=False, server_default=func.now()),
    Column(
        "actor",
        Text,
        nullable=False,
        server_default="customer",
        comment="whose doing it is; an event may say otherwise",
    ),
    Column("rank", Text, nullable=False, server_default="customer", comment="place among the events of one instant"),
    CheckConstraint("actor in ('customer', 'assistant', 'agent', 'system')", name="actor"),
    CheckConstraint("rank in ('start', 'customer', 'answer', 'end', 'afterwards')", name="rank"),
    CheckConstraint("origin in ('plan', 'custom')", name="origin"),
    schema=RAW,
    comment="The tracking plan: one row per tenant and event type, shipped (plan) or registered at run time (custom).",
)

erased_subjects = Table(
    "erased_subjects",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column(
        "subject_hmac", Text, primary_key=True, comment="HMAC of tenant and user, or conversation: the name is gone"
    ),
    Column("erased_at", _instant, nullable=False, server_default=func.now()),
    schema=RAW,
    comment="One row per subject erased under privacy law, and per conversation of theirs alone; both are rejected.",
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("key_hash", LargeBinary, nullable=False, comment="SHA-256 of the key"),
    Column("tenant_id", Text, nullable=False, comment=f"{EVERY_TENANT} sends for many tenants"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("name", Text),
    Column(
        "origins", ARRAY(Text), nullable=False, server_default="{}", comment="web origins that may use it; none: any"
    ),
    Column("rate_per_second", Integer, comment="requests"),
    Column("daily_quota", BigInteger, comment="events a day of UTC"),
    Column("created_at", _instant, nullable=False, server_default=func.now()),
    Column("expires_at", _instant),
    Column("revoked_at", _instant),
    Column("last_used_at", _instant),
    UniqueConstraint("key_hash", name="api_keys_key_hash_key"),
    schema=OPS,
    comment="One row per key of the HTTP server; the key itself is not kept.",
)

api_usage = Table(
    "api_usage",
    metadata,
    Column("date", Date, primary_key=True, comment="of UTC"),
    Column("key_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False, comment="the key's"),
    Column("events", BigInteger, nullable=False, server_default=text("0")),
    schema=OPS,
    comment="One row per day and key of the HTTP server: events received, for daily quotas.",
)

spool_positions = Table(
    "spool_positions",
    metadata,
    Column("spool_id", Text, primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    Column("updated_at", _instant, nullable=False, server_default=func.now()),
    schema=OPS,
    comment="One row per spool of a server process: what is before this place has landed.",
)

changes = Table(
    "changes",
    metadata,
    Column("change_id", BigInteger, Identity(always=True), primary_key=True),
    Column("model", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tenant_id", Text),
    Column("id", Text),
    Column("date", Date),
    Index(None, "model", "change_id"),
    schema=OPS,
    comment="One row per thing that changed in a model; kind all: the whole model, or all of a tenant.",
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("model", Text, primary_key=True),
    Column("upstream", Text, primary_key=True),
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    Column("built_at", _instant),
    schema=OPS,
    comment="One row per model and upstream: the last change (of raw: batch) that the model has taken in.",
)

definitions = Table(
    "definitions",
    metadata,
    Column("model", Text, primary_key=True),
    Column("tenant_id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    schema=OPS,
    comment="One row per model and tenant: the settings its rows were built under.",
)

owed = Table(
    "owed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("reads", ARRAY(Text), nullable=False, comment="the tables whose changes it is owed after"),
    Column("is_owed", Boolean, nullable=False),
    Column("settled_at", _instant, comment="when the check last passed on everything, or the table was last made"),
    CheckConstraint("kind in ('check', 'table')", name="kind"),
    schema=OPS,
    comment="One row per check and per table that is made whole: whether what it reads has changed since.",
)

scripts = Table(
    "scripts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("project", Text, nullable=False, comment="what the project's files came to when dbt made it"),
    Column("steps", JSONB, nullable=False),
    schema=OPS,
    comment="One row per model: the SQL that rebuilds what changed, as dbt ran it.",
)

plans = Table(
    "plans",
    metadata,
    Column("project", Text, primary_key=True, comment="what the project's files came to"),
    Column(
        "shape",
        Text,
        nullable=False,
        comment="what the columns of all tables and the views came to when it was built",
    ),
    Column("plan", JSONB, nullable=False),
    schema=OPS,
    comment="One row: the models, checks and analyses of the project that was built last, and what each reads.",
)

raw_horizon = Table(
    "raw_horizon",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("frozen_before", Date, nullable=False),
    schema=OPS,
    comment="One row per tenant whose raw events retention has dropped; days before it are kept as they are.",
)

archives = Table(
    "archives",
    metadata,
    Column("archive_id", Text, primary_key=True, comment="names its files, as parley.history.archives describes"),
    Column("tenant_id", Text, primary_key=True),
    Column("month", Text, nullable=False, comment="YYYY-MM, of UTC"),
    Column("last_batch_id", BigInteger, nullable=False, comment="the last batch whose rows are in the archive"),
    Column("taken_at", _instant, nullable=False),
    Column("emptied_at", _instant, comment="when the last of these rows had left raw.events"),
    Column("expired_at", _instant, comment="when the rows left the archive too"),
    schema=OPS,
    comment="One row per archive and tenant whose events it holds in the place of raw.events.",
)

too_late_events = Table(
    "too_late_events",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("event_name", Text, nullable=False),
    Column("occurred_at", _instant, nullable=False),
    Column("received_at", _instant, nullable=False),
    schema=OPS,
    comment="One row per event that came after its day was frozen, and has since left raw.events for an archive.",
)

builds = Table(
    "builds",
    metadata,
    Column("build_id", Text, primary_key=True),
    Column("command", Text, nullable=False),
    Column("as_of", _instant, nullable=False, comment='the "now" that outcomes are computed as of'),
    Column("started_at", _instant, nullable=False),
    Column("finished_at", _instant, nullable=False),
    Column("arguments", JSONB, nullable=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("built", "passed", "warned", "failed", "errors", "skipped")
    ),
    Column(
        "problems",
        JSONB,
        nullable=False,
        comment="name, kind, status and message of every check that did not pass and every model that failed",
    ),
    Column(
        "seconds",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="of every table, check and analysis that took a hundredth of a second or more, by name",
    ),
    Index(None, "finished_at"),
    schema=OPS,
    comment="One row per dbt run that came to its end, whoever started it.",
)

rebuilds = Table(
    "rebuilds",
    metadata,
    Column("build_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    *(
        Column(name, BigInteger, comment="null where the table was built as a whole")
        for name in ("rows_added", "rows_changed", "rows_removed")
    ),
    Column("days", DATEMULTIRANGE, comment="tenant-local days of these rows; empty where rows are of no day"),
    Column("rebuilt_at", _instant, nullable=False, server_default=func.now()),
    schema=OPS,
    comment="One row per build and incremental table that it changed.",
)

experiment_results = Table(
    "experiment_results",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("tenant_id", "experiment", "metric", "variant")),
    Column("is_control", Boolean, nullable=False),
    Column("kind", Text, nullable=False),
    Column("users", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("rate", Double),
    Column("mean_value", Double),
    Column("lift", Double),
    Column("lift_ci_low", Double),
    Column("lift_ci_high", Double),
    Column("p_value", Double),
    Column("p_value_adjusted", Double),
    Column("is_significant", Boolean),
    Column("lift_sequential_low", Double),
    Column("lift_sequential_high", Double),
    Column("sequential_p_value", Double),
    Column("sequential_p_value_adjusted", Double),
    Column("is_significant_sequential", Boolean),
    Column("difference", Double),
    Column("difference_ci_low", Double),
    Column("difference_ci_high", Double),
    Column("difference_p_value", Double),
    Column("srm_p_value", Double),
    Column("multiple_exposures", BigInteger, nullable=False),
    Column("reason", Text),
    schema=OPS,
    comment="One row per tenant, experiment, metric and variant.",
)

customer_predictions = Table(
    "customer_predictions",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("probability_alive", Double),
    Column("churn_probability", Double),
    Column("expected_orders_90d", Double),
    Column("expected_order_value", Double),
    Column("expected_revenue_90d", Double),
    Column("lifetime_value_to_date", Double),
    Column("predicted_lifetime_value", Double),
    Column("model", Text),
    Column("fitted_at", _instant, nullable=False),
    Column("reason", Text),
    schema=OPS,
    comment="One row per tenant and customer with an order.",
)

topics = Table(
    "topics",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("topic_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("example_questions", ARRAY(Text), nullable=False),
    Column("created_at", _instant, nullable=False),
    Column("updated_at", _instant, nullable=False),
    schema=OPS,
    comment="One row per tenant and topic of unanswered questions: parley.analytics.topics.",
)

question_topics = Table(
    "question_topics",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("question_id", Uuid, primary_key=True),
    Column("topic_id", Text, nullable=False),
    schema=OPS,
    comment="One row per tenant and question, with the topic it joined.",
)

topic_models = Table(
    "topic_models",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("model", LargeBinary, nullable=False, comment="the topics: changes with each new question"),
    Column("updated_at", _instant, nullable=False),
    Column("language", LargeBinary, comment="stays until the topics are learned again; null: they are to be"),
    schema=OPS,
    comment="One row per tenant: what was learned, to place new questions by.",
)

merged_topics = Table(
    "merged_topics",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("topic_id", Text, primary_key=True),
    Column("merged_into", Text, nullable=False),
    Column("merged_at", _instant, nullable=False),
    schema=OPS,
    comment="One row per tenant and former topic: the topic in which its questions are now.",
)

gap_statuses = Table(
    "gap_statuses",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("gap_id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("note", Text),
    Column("changed_by", Text),
    Column("changed_at", _instant, nullable=False),
    CheckConstraint("status in ('identified', 'in_progress', 'resolved')", name="status"),
    schema=OPS,
    comment="One row per tenant and gap whose status a person has set.",
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", _instant, nullable=False),
    Column("action", Text, nullable=False),
    Column("tenant_id", Text),
    Column("actor", Text),
    Column("details", JSONB, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    schema=OPS,
    comment="One row per action that must be traceable, chained by hashes.",
)

input_measures = Table(
    "input_measures",
    metadata,
    Column("day", Date, primary_key=True),
    Column("tenant_id", Text, primary_key=True, comment=f"{EVERY_TENANT} for the day as a whole"),
    Column("event_name", Text, primary_key=True, comment="* for all event types"),
    Column("metric", Text, primary_key=True),
    Column("value", Double, nullable=False),
    Column("base", BigInteger, nullable=False, comment="events or lines that it was measured on"),
    Column("batch_id", BigInteger, comment="the newest batch among them"),
    schema=OPS,
    comment="One row per day (UTC), tenant, event type and metric of the raw events: parley.quality_gate.",
)

input_validation = Table(
    "input_validation",
    metadata,
    Column("day", Date, primary_key=True),
    Column("result", Text, nullable=False),
    Column("events", BigInteger, nullable=False, comment="that happened on the day"),
    Column("received", BigInteger, nullable=False, comment="lines that arrived on the day"),
    Column("blocking", BigInteger, nullable=False, comment="figures out of bounds that block"),
    Column("warning", BigInteger, nullable=False, comment="figures out of bounds that warn"),
    Column("batch_id", BigInteger, nullable=False, comment="the newest batch with anything of the day; 0: none"),
    Column("suite", Text, nullable=False, comment="fingerprint of the expectations it was validated by"),
    Column("page", Text, comment="file of its Data Docs; null where nothing was expected"),
    Column("validated_at", _instant, nullable=False),
    Column("released_by", Text),
    Column("released_at", _instant),
    Column("release_reason", Text),
    Column("tenant_id", Text, primary_key=True, comment=f"{EVERY_TENANT} for the day as a whole"),
    CheckConstraint("result in ('passed', 'warned', 'blocked')", name="result"),
    CheckConstraint("released_at is null or result = 'blocked'", name="release"),
    schema=OPS,
    comment="One row per day (UTC) and tenant that the input gate has validated.",
)

blocked_inputs = Table(
    "blocked_inputs",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("basis", Text, primary_key=True, comment="left out is what arrived on the day, or what happened on it"),
    CheckConstraint("basis in ('arrived', 'happened')", name="basis"),
    schema=OPS,
    comment="One row per day (UTC) of a tenant that the last build left out of the tables.",
)

input_failures = Table(
    "input_failures",
    metadata,
    Column("day", Date, primary_key=True),
    Column("expectation", Text, primary_key=True),
    Column("tenant_id", Text, primary_key=True, comment=f"{EVERY_TENANT} for the day as a whole"),
    Column("event_name", Text, primary_key=True, comment="* for all event types"),
    Column("severity", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("observed", Double, nullable=False),
    Column("minimum", Double),
    Column("maximum", Double),
    Column("description", Text, nullable=False),
    schema=OPS,
    comment="One row per figure of a day that is outside what is expected of it.",
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", BigInteger, Identity(always=True), primary_key=True),
    Column("rule_id", Text, nullable=False),
    Column("tenant_id", Text, nullable=False, comment=f"{EVERY_TENANT}: of no tenant, such as a failed run"),
    Column("subject", Text, nullable=False, comment="the run, check or build that failed; blank for what is measured"),
    Column("state", Text, nullable=False),
    Column("since", _instant, nullable=False),
    Column("severity", Text, nullable=False),
    Column("detail", Text, nullable=False, comment="what was last seen, in plain words"),
    Column("observed", Double),
    Column("expected", Double, comment="the threshold, or what the same weekdays had"),
    Column("day", Date, comment="the tenant-local day that was evaluated"),
    Column("evaluated_at", _instant, nullable=False),
    Column("breached_at", _instant, comment="when it was last seen to be wrong"),
    Column("incident", Integer, nullable=False, comment="how often it has fired"),
    Column("fired_at", _instant),
    Column("told_at", _instant, comment="of the last message while it fires"),
    Column("escalated_at", _instant),
    Column("firings", ARRAY(_instant), nullable=False, comment="the last ones, by which flapping is told"),
    Column("acknowledged_at", _instant),
    Column("acknowledged_by", Text),
    Column("note", Text),
    UniqueConstraint("rule_id", "tenant_id", "subject", name="alerts_key"),
    CheckConstraint(
        "state in ('OK', 'PENDING', 'FIRING', 'ACKNOWLEDGED', 'RESOLVED', 'NO_DATA')",
        name="state",
    ),
    schema=OPS,
    comment="One row per rule, tenant and subject: where the alert stands.",
)

alert_positions = Table(
    "alert_positions",
    metadata,
    Column("name", Text, primary_key=True, comment="events: rules over single events"),
    Column("batch_id", BigInteger, nullable=False),
    schema=OPS,
    comment="One row per kind of rule over what lands: the last batch seen.",
)

alert_transitions = Table(
    "alert_transitions",
    metadata,
    Column("transition_id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("at", _instant, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "alert_id"),
    schema=OPS,
    comment="One row per change of an alert's state.",
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("delivery_id", BigInteger, Identity(always=True), primary_key=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("dedupe_key", Text, nullable=False, comment="the same however often it is sent"),
    Column("channel", Text, nullable=False),
    Column("notice", Text, nullable=False, comment="fired, reminder, escalated or resolved"),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("tone", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("created_at", _instant, nullable=False, server_default=func.now()),
    Column("next_attempt_at", _instant, nullable=False, server_default=func.now()),
    Column("sent_at", _instant),
    Column("last_error", Text),
    UniqueConstraint("dedupe_key", "channel", name="alert_deliveries_key"),
    CheckConstraint("status in ('pending', 'sent', 'failed')", name="status"),
    Index(None, "alert_id", "channel", postgresql_where=text("status = 'pending'")),
    schema=OPS,
    comment="One row per message and channel: the outbox of alerts.",
)

input_anomalies = Table(
    "input_anomalies",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("tenant_id", "event_name", "metric")),
    Column("date", Date, primary_key=True),
    Column("observed", Double, nullable=False),
    Column("expected", Double),
    Column("lower", Double),
    Column("upper", Double),
    Column("score", Double),
    Column("direction", Text),
    Column("is_anomaly", Boolean, nullable=False),
    Column("severity", Text),
    Column("training_days", BigInteger, nullable=False),
    Column("reason", Text),
    Column(
        "residual",
        Double,
        comment="of a count, beyond what is expected of any day of the month: the same days of later months go by it",
    ),
    schema=OPS,
    comment="One row per tenant, event type, metric of the input and day that is over: parley.analytics.anomalies.",
)

anomaly_days = Table(
    "anomaly_days",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column(
        "fingerprint",
        Numeric,
        nullable=False,
        comment="of the rows that the day's in marts.input_metrics are made of, 0 without any",
    ),
    schema=OPS,
    comment="One row per tenant and day whose input was checked, and the last such day: of others rows are computed.",
)

erasures = Table(
    "erasures",
    metadata,
    Column("erasure_id", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("subject_hmacs", ARRAY(Text), nullable=False, comment="of the person to erase: the name is not kept"),
    Column("requested_at", _instant, nullable=False, server_default=func.now()),
    Column("requested_by", Text),
    Column("erased_at", _instant, comment="when the rows of the person were deleted, in one transaction"),
    Column("traces", JSONB, comment="ids to look for in what is left; null as soon as the work is done"),
    Column("rows_deleted", JSONB, comment="by table"),
    Column("finished_at", _instant, comment="when tables and files had followed and been searched"),
    Column("places_left", JSONB, comment="where something of the person was still found then, and how often"),
    Column(
        "text_hmacs",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="of texts that only the subject wrote, to find them in files",
    ),
    schema=OPS,
    comment="One row per erasure asked for: open until finished_at.",
)

secret = Table(
    "secret",
    metadata,
    Column("is_the_only_row", Boolean, primary_key=True, server_default="true"),
    Column("fingerprint", Text, nullable=False),
    CheckConstraint("is_the_only_row", name="is_the_only_row"),
    schema=OPS,
    comment="One row: what the secret that people are hashed with comes to.",
)

tenant_roles = Table(
    "tenant_roles",
    metadata,
    Column("role_name", Text, primary_key=True),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="reader (sees every tenant), one_tenant and several_tenants (rights of their logins), login",
    ),
    Column("tenant_ids", ARRAY(Text), nullable=False, server_default="{}", comment="what a login sees"),
    Column("label", Text, comment="what a login is for; null: the dashboards of `make bi`"),
    Column("created_at", _instant, nullable=False, server_default=func.now()),
    Column("created_by", Text),
    CheckConstraint("kind in ('reader', 'one_tenant', 'several_tenants', 'login')", name="kind"),
    schema=OPS,
    comment="One row per Postgres role that reads facts and marts: three that carry the rights, and the logins.",
)
