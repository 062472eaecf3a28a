"""An independent opinion on every table: the contract in plain, slow Python that is meant to be obviously right.

world = World.of(events, as_of=…, tenants=[Tenant("shop", time_zone="Asia/Kolkata")])
assert not differences(TABLES["facts.sessions"].rows(world), rows_of_the_model, TABLES["facts.sessions"].key)
"""

from collections.abc import Callable
from typing import NamedTuple

from tests.oracle.cohorts import user_lifecycle
from tests.oracle.commerce import bookings, orders
from tests.oracle.compare import differences
from tests.oracle.conversations import conversations
from tests.oracle.customers import customers
from tests.oracle.days import tenant_days
from tests.oracle.domains import (
    booking_metrics,
    commerce_metrics,
    error_metrics,
    kb_metrics,
    tool_chain_metrics,
    tool_metrics,
    voice_metrics,
)
from tests.oracle.input import event_fields, input_days
from tests.oracle.metrics import agent_metrics, daily_metrics, period_metrics
from tests.oracle.models import model_calls, model_usage
from tests.oracle.money import payments
from tests.oracle.quality import (
    conversation_quality_scores,
    conversation_signals,
    conversation_wording,
    judgements,
    quality_daily,
)
from tests.oracle.responses import response_times, responses
from tests.oracle.sessions import session_metrics, sessions
from tests.oracle.tools import kb_searches, tool_calls
from tests.oracle.turns import turns
from tests.oracle.users import active_users, user_days
from tests.oracle.world import Event, Row, Tenant, World


class Table(NamedTuple):
    """A table that the oracle can compute, and the columns of its key."""

    rows: Callable[[World], list[Row]]
    key: tuple[str, ...]


TABLES = {
    "facts.conversations": Table(conversations, ("tenant_id", "conversation_id")),
    "facts.turns": Table(turns, ("tenant_id", "turn_id")),
    "facts.model_calls": Table(model_calls, ("tenant_id", "call_id")),
    "facts.responses": Table(responses, ("tenant_id", "response_id")),
    "facts.sessions": Table(sessions, ("tenant_id", "session_id")),
    "facts.tool_calls": Table(tool_calls, ("tenant_id", "call_id")),
    "facts.kb_searches": Table(kb_searches, ("tenant_id", "search_id")),
    "facts.bookings": Table(bookings, ("tenant_id", "booking_id")),
    "facts.payments": Table(payments, ("tenant_id", "payment_id")),
    "facts.tenant_days": Table(tenant_days, ("tenant_id", "date")),
    "facts.orders": Table(orders, ("tenant_id", "order_id")),
    "facts.user_days": Table(user_days, ("tenant_id", "user_id", "date")),
    "facts.judgements": Table(judgements, ("tenant_id", "judgement_id")),
    "facts.conversation_wording": Table(conversation_wording, ("tenant_id", "conversation_id")),
    "facts.conversation_signals": Table(conversation_signals, ("tenant_id", "conversation_id")),
    "facts.input_days": Table(input_days, ("tenant_id", "date", "event_name")),
    "facts.event_fields": Table(event_fields, ("tenant_id", "date", "event_name", "field", "json_type")),
    "marts.daily_metrics": Table(daily_metrics, ("tenant_id", "date")),
    "marts.period_metrics": Table(period_metrics, ("tenant_id", "period", "period_start")),
    "marts.agent_metrics": Table(agent_metrics, ("tenant_id", "date", "agent", "team")),
    "marts.active_users": Table(active_users, ("tenant_id", "date")),
    "marts.response_times": Table(response_times, ("tenant_id", "hour", "model", "channel", "actor")),
    "marts.model_usage": Table(model_usage, ("tenant_id", "date", "model")),
    "marts.session_metrics": Table(session_metrics, ("tenant_id", "date")),
    "marts.conversation_quality_scores": Table(conversation_quality_scores, ("tenant_id", "conversation_id")),
    "marts.quality_daily": Table(quality_daily, ("tenant_id", "date")),
    "marts.user_lifecycle": Table(user_lifecycle, ("tenant_id", "period", "period_start")),
    "marts.customers": Table(customers, ("tenant_id", "user_id")),
    "marts.voice_metrics": Table(voice_metrics, ("tenant_id", "date")),
    "marts.tool_metrics": Table(tool_metrics, ("tenant_id", "date", "tool_name")),
    "marts.tool_chain_metrics": Table(tool_chain_metrics, ("tenant_id", "date")),
    "marts.kb_metrics": Table(kb_metrics, ("tenant_id", "date")),
    "marts.commerce_metrics": Table(commerce_metrics, ("tenant_id", "date")),
    "marts.booking_metrics": Table(booking_metrics, ("tenant_id", "date")),
    "marts.error_metrics": Table(error_metrics, ("tenant_id", "date", "error_class")),
}

__all__ = ["TABLES", "Event", "Row", "Table", "Tenant", "World", "differences"]
