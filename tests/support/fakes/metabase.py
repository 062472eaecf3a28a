"""A FAKE of Metabase's REST API, for tests: Metabase itself, a Java application, cannot run everywhere tests do.

It takes and refuses what Metabase v0.50 and later take and refuse, as far as the provisioner goes: closed schemas (of
Metabase's `src/metabase/*_rest/`), sessions and keys, unknown numbers, variables and filters that do not fit each
other. It runs questions for real: their SQL, variables and models filled in as Metabase does, on the Postgres of the
connection and as its user. What it cannot say is how anything looks.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from math import inf
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import psycopg
from psycopg import sql

Body = dict[str, Any]

TEXT = {"type": "string", "minLength": 1}
MAYBE_TEXT = {"type": ["string", "null"]}
NUMBER = {"type": "integer", "minimum": 1}
MAYBE_NUMBER = {"type": ["integer", "null"], "minimum": 1}
NOT_NEGATIVE = {"type": "integer", "minimum": 0}
FLAG = {"type": ["boolean", "null"]}
MAP = {"type": "object"}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": items}


PARAMETER_TYPES = ("string/=", "date/single")  # of the many that Metabase knows
TAG_TAKES = {"text": {"string/=", "category"}, "date": {"date/single", "date"}}  # lib/schema/parameter.cljc
TARGET = {
    "type": "array",
    "prefixItems": [
        {"const": "variable"},
        {"type": "array", "prefixItems": [{"const": "template-tag"}, TEXT], "minItems": 2, "maxItems": 2},
    ],
    "minItems": 2,
    "maxItems": 2,
}
SOURCE = _closed(["card_id", "value_field"], card_id=NUMBER, value_field={"type": "array", "minItems": 3})
PARAMETER = {
    "type": "object",
    "required": ["id", "type", "name", "slug"],
    "properties": {
        "id": TEXT,
        "type": {"enum": PARAMETER_TYPES},
        "name": TEXT,
        "slug": TEXT,
        "sectionId": TEXT,
        "target": TARGET,
        "values_source_type": {"enum": ["static-list", "card", None]},
        "values_source_config": SOURCE,
        "values_query_type": {"enum": ["none", "list", "search"]},
    },
}
TAG = {
    "type": "object",
    "required": ["id", "name", "display-name", "type"],
    "properties": {
        "id": TEXT,
        "name": TEXT,
        "display-name": TEXT,
        "type": {"enum": ["text", "date", "number", "card"]},
    },
    "if": {"properties": {"type": {"const": "card"}}},
    "then": {"required": ["card-id"], "properties": {"card-id": NUMBER}},
}
QUERY = _closed(
    ["type", "database", "native"],
    type={"const": "native"},
    database=NUMBER,
    native=_closed(["query"], query=TEXT, **{"template-tags": {"type": "object", "additionalProperties": TAG}}),
)
RESULT_COLUMN = {
    "type": "object",
    "required": ["name", "display_name", "base_type"],
    "properties": {"name": TEXT, "display_name": TEXT, "base_type": {"pattern": "^type/"}, "description": MAYBE_TEXT},
}
CARD = {
    "name": TEXT,
    "type": {"enum": ["question", "model", "metric", None]},
    "dataset_query": QUERY,
    "display": TEXT,
    "description": {"type": ["string", "null"], "minLength": 1},
    "visualization_settings": MAP,
    "parameters": _list_of(PARAMETER),
    "result_metadata": _list_of(RESULT_COLUMN),
    "collection_id": MAYBE_NUMBER,
    "archived": FLAG,
}
DASHCARD = _closed(
    ["id", "row", "col", "size_x", "size_y"],
    id={"type": "integer"},
    row=NOT_NEGATIVE,
    col=NOT_NEGATIVE,
    size_x=NUMBER,
    size_y=NUMBER,
    card_id=MAYBE_NUMBER,
    dashboard_tab_id={"type": ["integer", "null"]},
    parameter_mappings=_list_of(_closed(["parameter_id", "target"], parameter_id=TEXT, target=TARGET, card_id=NUMBER)),
    visualization_settings=MAP,
)
DASHBOARD = {
    "name": TEXT,
    "description": MAYBE_TEXT,
    "parameters": _list_of(PARAMETER),
    "collection_id": MAYBE_NUMBER,
}
COLLECTION = {"name": TEXT, "description": {"type": ["string", "null"], "minLength": 1}, "parent_id": MAYBE_NUMBER}
DATABASE = {"name": TEXT, "engine": {"const": "postgres"}, "details": MAP, "is_full_sync": FLAG}
SCHEMAS = {
    "POST session": _closed(["username", "password"], username=TEXT, password=TEXT),
    "POST setup": _closed(["token", "user", "prefs"], token=TEXT, user=MAP, prefs={"required": ["site_name"]}),
    "POST database": _closed(["name", "engine", "details"], **DATABASE),
    "PUT database": _closed([], **DATABASE, description=MAYBE_TEXT),
    "POST collection": _closed(["name"], **COLLECTION),
    "PUT collection": _closed([], **COLLECTION, archived=FLAG),
    "POST card": _closed(["name", "dataset_query", "display", "visualization_settings"], **CARD),
    "PUT card": _closed([], **CARD),
    "POST dashboard": _closed(["name"], **DASHBOARD),
    "PUT dashboard": _closed(
        [],
        **DASHBOARD,
        dashcards=_list_of(DASHCARD),
        tabs=_list_of(MAP),
        width={"enum": ["fixed", "full"]},
        archived=FLAG,
    ),
}
VALIDATORS = {name: jsonschema_rs.validator_for(schema) for name, schema in SCHEMAS.items()}


class Rejection(Exception):
    """What Metabase answers instead of doing it."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


@dataclass
class FakeMetabase:
    """A Metabase in memory. `hosts` are the addresses of Postgres servers by the names that connections use."""

    url: str = ""
    hosts: dict[str, str] = field(default_factory=dict)
    api_key: str | None = None
    admin: tuple[str, str] | None = None
    """E-mail and password; none until somebody sets it up."""
    sessions: set[str] = field(default_factory=set)
    database: dict[int, Body] = field(default_factory=dict)
    collection: dict[int, Body] = field(default_factory=dict)
    card: dict[int, Body] = field(default_factory=dict)
    dashboard: dict[int, Body] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    """Every request that changed something."""
    writes_left: float = inf
    """After so many it breaks down."""
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def answer(self, method: str, url: str, headers: Any, body: Body) -> Any:
        """What it answers, as JSON. Raises Rejection."""
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        parts = path.removeprefix("/api/").strip("/").split("/")
        if parts == ["session", "properties"]:
            return {"has-user-setup": self.admin is not None, "setup-token": None if self.admin else "a token"}
        if parts in (["session"], ["setup"]) and method == "POST":
            self._check(f"POST {parts[0]}", body)
            return self._sign_in(body) if parts == ["session"] else self._set_up(body)
        if headers["X-Metabase-Session"] not in self.sessions and (
            self.api_key is None or headers["X-API-Key"] != self.api_key
        ):
            raise Rejection(401, "Unauthenticated")
        return self._route(method, parts, query, body)

    def _route(self, method: str, parts: list[str], query: dict[str, list[str]], body: Body) -> Any:
        match method, parts:
            case "GET", ["database"]:
                return {"data": [self._shown(one) for one in self.database.values()], "total": len(self.database)}
            case "GET", ["collection"]:
                return [one for one in self.collection.values() if not one["archived"]]
            case "GET", ["collection", number, "items"]:
                return {"data": list(self._items(int(number), query.get("models", [])))}
            case "GET", ["card" | "dashboard" as kind, number]:
                return self._one(kind, int(number))
            case "POST", ["card", number, "query"]:
                return self._run(self._one("card", int(number)), body.get("parameters") or [])
            case "POST", ["dashboard", number, "dashcard", dashcard, "card", card, "query"]:
                return self._run_on(self._one("dashboard", int(number)), int(dashcard), int(card), body)
            case "POST", ["database" | "collection" | "card" | "dashboard" as kind]:
                return self._write(kind, None, body)
            case "PUT", ["database" | "collection" | "card" | "dashboard" as kind, number]:
                return self._write(kind, int(number), body)
        raise Rejection(404, "API endpoint does not exist.")

    def _sign_in(self, body: Body) -> Body:
        if self.admin != (body["username"], body["password"]):
            raise Rejection(401, "did not match stored password")
        session = f"session {next(self._numbers)}"
        self.sessions.add(session)
        return {"id": session}

    def _set_up(self, body: Body) -> Body:
        if self.admin:
            raise Rejection(403, "The /api/setup route can only be used to create the first user.")
        if body["token"] != "a token":
            raise Rejection(400, "Token does not match the setup token.")
        self.admin = body["user"]["email"], body["user"]["password"]
        return self._sign_in({"username": self.admin[0], "password": self.admin[1]})

    def _check(self, name: str, body: Body) -> None:
        for error in VALIDATORS[name].iter_errors(body):
            raise Rejection(400, f"{'/'.join(map(str, error.instance_path))}: {error.message}")

    def _one(self, kind: str, number: int) -> Body:
        found: Body | None = getattr(self, kind).get(number)
        if found is None:
            raise Rejection(404, "Not found.")
        return found

    def _write(self, kind: str, number: int | None, body: Body) -> Body:
        if len(self.writes) >= self.writes_left:
            raise Rejection(500, "Out of memory")
        self._check(f"{'PUT' if number else 'POST'} {kind}", body)
        blank: Body = {"description": None, "archived": False, "collection_id": None}
        before = self._one(kind, number) if number else {**blank, "id": next(self._numbers)}
        if body.get("collection_id"):
            self._one("collection", body["collection_id"])
        after = before | body
        checks: dict[str, Callable[[Body, Body], Body]] = {
            "database": self._database,
            "collection": self._collection,
            "card": self._card,
            "dashboard": self._dashboard,
        }
        after = checks[kind](before, after)
        self.writes.append(f"{'PUT' if number else 'POST'} {kind}/{after['id']}")
        getattr(self, kind)[after["id"]] = after
        return self._shown(after) if kind == "database" else after

    def _database(self, before: Body, after: Body) -> Body:
        try:
            self._connect(after["details"]).close()
        except (psycopg.Error, KeyError) as error:
            raise Rejection(400, f"Metabase cannot connect: {error}") from None
        return after

    def _shown(self, database: Body) -> Body:
        return database | {"details": database["details"] | {"password": "**MetabasePass**"}}

    def _collection(self, before: Body, after: Body) -> Body:
        if after.get("parent_id"):
            self._one("collection", after["parent_id"])
        return after

    def _card(self, before: Body, after: Body) -> Body:
        query = after["dataset_query"]
        self._one("database", query["database"])
        tags = query["native"].get("template-tags", {})
        for name, tag in tags.items():
            if name != tag["name"]:
                raise Rejection(400, "keys in template tag map must match the :name of their values")
            if tag["type"] == "card":
                self._one("card", tag["card-id"])
        if named := set(_variables(query["native"]["query"])) ^ tags.keys():
            raise Rejection(400, f"The query and its template tags do not agree about {sorted(named)}.")
        for parameter in after.get("parameters") or []:
            self._check_target(parameter["target"], parameter["type"], after)
            self._check_source(parameter)
        return {"type": "question", **after}

    def _check_source(self, parameter: Body) -> None:
        if parameter.get("values_source_type") == "card":
            config = parameter["values_source_config"]
            columns = {column["name"] for column in self._one("card", config["card_id"])["result_metadata"]}
            if config["value_field"][1] not in columns:
                raise Rejection(400, f"The card has no column {config['value_field'][1]}.")

    def _check_target(self, target: list[Any], kind: str, card: Body) -> None:
        tag = card["dataset_query"]["native"]["template-tags"].get(target[1][1])
        if tag is None:
            raise Rejection(400, f"{card['name']} has no variable {target[1][1]}.")
        if kind not in TAG_TAKES[tag["type"]]:
            raise Rejection(400, f"Invalid parameter type {kind} for parameter {tag['name']}.")

    def _dashboard(self, before: Body, after: Body) -> Body:
        parameters = {one["id"]: one for one in after.get("parameters") or []}
        for parameter in parameters.values():
            self._check_source(parameter)
        existing = {card["id"] for card in before.get("dashcards", [])}
        made = []
        for dashcard in after.get("dashcards", []):
            card = self._one("card", dashcard["card_id"]) if dashcard.get("card_id") else None
            for mapping in dashcard.get("parameter_mappings") or []:
                if mapping["parameter_id"] not in parameters:
                    raise Rejection(400, f"There is no parameter {mapping['parameter_id']} on this dashboard.")
                target = self._one("card", mapping["card_id"]) if "card_id" in mapping else card
                assert target is not None
                self._check_target(mapping["target"], parameters[mapping["parameter_id"]]["type"], target)
            number = dashcard["id"] if dashcard["id"] in existing else next(self._numbers)
            made.append({**dashcard, "id": number})
        return after | {"dashcards": made}

    def _items(self, collection: int, models: list[str]) -> Iterator[Body]:
        self._one("collection", collection)
        for one in [*self.card.values(), *self.dashboard.values()]:
            kind = "dashboard" if "dashcards" in one else "dataset" if one["type"] == "model" else "card"
            if one["collection_id"] == collection and not one["archived"] and (not models or kind in models):
                yield {"id": one["id"], "model": kind, "name": one["name"], "description": one["description"]}

    def _run_on(self, dashboard: Body, dashcard: int, card: int, body: Body) -> Body:
        found = [one for one in dashboard["dashcards"] if one["id"] == dashcard and one["card_id"] == card]
        if not found:
            raise Rejection(404, "Not found.")
        known = {one["id"]: one for one in dashboard["parameters"]}
        given = {one["id"]: one["value"] for one in body.get("parameters", [])}
        if unknown := given.keys() - known.keys():
            raise Rejection(400, f"Dashboard does not have a parameter with ID {sorted(unknown)}.")
        values = []
        for mapping in found[0]["parameter_mappings"]:
            parameter = known[mapping["parameter_id"]]
            if (value := given.get(parameter["id"], parameter.get("default"))) is not None:
                values.append({"type": parameter["type"], "target": mapping["target"], "value": value})
        return self._run(self._one("card", card), values)

    def _run(self, card: Body, parameters: list[Body]) -> Body:
        for parameter in parameters:
            self._check_target(parameter["target"], parameter["type"], card)
        values = {one["target"][1][1]: one["value"] for one in parameters}
        details = self.database[card["dataset_query"]["database"]]["details"]
        with self._connect(details) as connection:
            try:
                found = connection.execute(self._filled_in(card, values, connection).encode())
            except (psycopg.Error, Rejection) as error:  # as Metabase: an answer, not a status
                return {"status": "failed", "error": getattr(error, "message", None) or str(error)}
            columns = [{"name": column.name} for column in found.description or []]
            return {"status": "completed", "data": {"cols": columns, "rows": found.fetchall()}}

    def _filled_in(self, card: Body, values: Body, connection: psycopg.Connection[Any]) -> str:
        native = card["dataset_query"]["native"]
        tags = native.get("template-tags", {})

        def value(name: str) -> str | None:
            tag = tags[name]
            if tag["type"] == "card":
                return f"({self._filled_in(self._one('card', tag['card-id']), {}, connection)})"
            chosen = values.get(name, tag.get("default"))
            if chosen is None:
                return None
            several = chosen if isinstance(chosen, list) else [chosen]
            typed = [date.fromisoformat(one) if tag["type"] == "date" else one for one in several]
            return ", ".join(sql.Literal(one).as_string(connection) for one in typed)

        def required(found: re.Match[str]) -> str:
            if (known := value(found[1])) is None:
                raise Rejection(400, f"You'll need to pick a value for '{tags[found[1]]['display-name']}'.")
            return known

        def optional(found: re.Match[str]) -> str:
            known = all(value(name) is not None for name in _variables(found[1]))
            return VARIABLE.sub(required, found[1]) if known else ""

        return VARIABLE.sub(required, OPTIONAL.sub(optional, native["query"]))

    def _connect(self, details: Body) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.hosts.get(details["host"], details["host"]),
            port=details["port"],
            dbname=details["dbname"],
            user=details["user"],
            password=details["password"],
            options="-c timezone=UTC",
        )


VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


def _variables(query: str) -> list[str]:
    return VARIABLE.findall(query)


def _as_json(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


@contextmanager
def serving(fake: FakeMetabase) -> Iterator[FakeMetabase]:
    """The fake on a port of this machine, named by its `url`."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            try:
                status, answer = 200, fake.answer(self.command, self.path, self.headers, body)
            except Rejection as rejection:
                status, answer = rejection.status, {"message": rejection.message}
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer, default=_as_json).encode())

        do_GET = do_POST = do_PUT = _do

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
