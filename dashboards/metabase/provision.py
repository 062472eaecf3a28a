"""`make metabase`: the dashboards in a Metabase that runs already: `python -m dashboards.metabase.provision`.

| variable | meaning |
|---|---|
| `METABASE_URL` | where Metabase is, such as http://localhost:3000 |
| `METABASE_API_KEY` | a key of its administrators' group; or |
| `METABASE_USER`, `METABASE_PASSWORD` | an administrator; made by this where Metabase is quite new |
| `METABASE_TENANT` | a tenant: the boards once more, over a connection that sees its rows only |
| `METABASE_WAREHOUSE_HOST`, `METABASE_WAREHOUSE_PORT` | where Metabase finds Postgres, if not where Parley does |

What this has made it knows again by the last line of its description: a key, and a fingerprint of what was sent. What
has another fingerprint is written again, what is no longer wanted goes to Metabase's trash; the rest is left alone.
"""

import hashlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dashboards.metabase import api, content
from dashboards.metabase.content import Payload
from dashboards.source import Dataset, Source
from parley.errors import ParleyError
from parley.settings import Settings
from parley.warehouse import bi_role, database, tenant_roles

NAME = "Parley"
COLLECTIONS = {
    "collection": (NAME, "The dashboards of Parley."),
    "collection/models": ("Models", "The tables that the questions read, one model each."),
    "collection/questions": ("Questions", "The questions on the dashboards."),
}
_MARK = re.compile(r"\s*Parley: (?P<key>\S.*) \[(?P<fingerprint>\w+)\]$")
UNFINISHED = "unfinished"
DONE = ("created", "updated", "unchanged", "archived")

Kind = Literal["database", "collection", "card", "dashboard"]


@dataclass(frozen=True)
class _Found:
    """An object in Metabase that carries our mark."""

    number: int
    kind: Kind
    fingerprint: str


@dataclass
class Provisioner:
    """Brings one Metabase to what the source says."""

    metabase: api.Metabase
    tenant: str | None = None
    """Whose rows the connection sees; none: everybody's. Its objects are its own."""
    done: Counter[str] = field(default_factory=Counter)
    """How many objects were created, updated, unchanged and archived."""

    def run(self, source: Source, details: Payload, first_tenants: Mapping[str, str | None]) -> None:
        """Settle the connection with these details, the collections, models, questions and dashboards."""
        warehouse = self._database(details)
        root, models_in, questions_in = self._collections()
        found = self._found_in([root, models_in, questions_in])
        models = {
            key: self._card(key, payload, found)
            for key, payload in content.models(source, warehouse, models_in).items()
        }
        boards = content.Boards(source, first_tenants.get)
        questions = {
            key: self._card(key, payload, found)
            for key, payload in boards.questions(warehouse, questions_in, models).items()
        }
        dashboards = boards.dashboards(root, models, questions)
        for key, payload in dashboards.items():
            self._dashboard(key, payload, found)
        for key in found.keys() - models.keys() - questions.keys() - dashboards.keys():
            self.metabase.put(f"/api/{found[key].kind}/{found[key].number}", {"archived": True})
            self.done["archived"] += 1

    def _database(self, details: Payload) -> int:
        payload = {"name": self._of_tenant(NAME), "engine": "postgres", "details": details}
        known = self._known_database(details)
        if known and known.fingerprint == _fingerprint(payload):
            self.done["unchanged"] += 1
            return known.number
        self.done["updated" if known else "created"] += 1
        number: int = known.number if known else self.metabase.post("/api/database", payload)["id"]
        about = "Facts and marts, for the role that can only read."
        described = {
            **payload,
            "description": _marked(about, self._of_tenant("database"), payload),
        }  # which only a change may have
        self.metabase.put(f"/api/database/{number}", described)
        return number

    def _of_tenant(self, name: str) -> str:
        return f"{name} of {self.tenant}" if self.tenant else name

    def _known_database(self, details: Payload) -> _Found | None:
        """The connection that we made, also where we were broken off before it could be marked."""
        places = ("host", "port", "dbname", "user")
        for one in self.metabase.get("/api/database")["data"]:
            if (mark := _MARK.search(one.get("description") or "")) and mark["key"] == self._of_tenant("database"):
                return _Found(one["id"], "database", mark["fingerprint"])
            if one["name"] == self._of_tenant(NAME) and all(
                (one.get("details") or {}).get(name) == details[name] for name in places
            ):
                return _Found(one["id"], "database", UNFINISHED)
        return None

    def _collections(self) -> list[int]:
        found = {
            mark["key"]: _Found(one["id"], "collection", mark["fingerprint"])
            for one in self.metabase.get("/api/collection")
            if (mark := _MARK.search(one.get("description") or "")) and not one.get("archived")
        }
        numbers: list[int] = []
        for key, (name, about) in COLLECTIONS.items():
            key, name = self._of_tenant(key), name if numbers else self._of_tenant(name)
            payload = {"name": name, "description": about, "parent_id": numbers[0] if numbers else None}
            numbers.append(self._settle("collection", key, payload, found.get(key)))
        return numbers

    def _found_in(self, collections: list[int]) -> dict[str, _Found]:
        kinds: dict[str, Kind] = {"card": "card", "dataset": "card", "dashboard": "dashboard"}
        return {
            mark["key"]: _Found(one["id"], kinds[one["model"]], mark["fingerprint"])
            for collection in collections
            for one in self.metabase.get(f"/api/collection/{collection}/items", models=list(kinds))["data"]
            if (mark := _MARK.search(one.get("description") or ""))
        }

    def _card(self, key: str, payload: Payload, found: Mapping[str, _Found]) -> int:
        return self._settle("card", key, payload, found.get(key))

    def _dashboard(self, key: str, payload: Payload, found: Mapping[str, _Found]) -> None:
        known = found.get(key)
        if known and known.fingerprint == _fingerprint(payload):
            self.done["unchanged"] += 1
            return
        if known:
            number = known.number
            self.done["updated"] += 1
        else:  # cards can only be put on one that is there
            begun = {name: payload[name] for name in ("name", "collection_id")}
            number = self.metabase.post("/api/dashboard", {**begun, "description": f"Parley: {key} [{UNFINISHED}]"})[
                "id"
            ]
            self.done["created"] += 1
        existing = {card["card_id"]: card["id"] for card in self.metabase.get(f"/api/dashboard/{number}")["dashcards"]}
        dashcards = [
            {**card, "id": existing.get(card["card_id"], card["id"]) if card["card_id"] else card["id"]}
            for card in payload["dashcards"]
        ]
        description = _marked(payload["description"], key, payload)
        self.metabase.put(f"/api/dashboard/{number}", {**payload, "dashcards": dashcards, "description": description})

    def _settle(self, kind: Kind, key: str, payload: Payload, known: _Found | None) -> int:
        """Make the object, or write it again where it is another than the payload says; returns its number."""
        marked = {**payload, "description": _marked(payload["description"], key, payload)}
        if known is None:
            self.done["created"] += 1
            return int(self.metabase.post(f"/api/{kind}", marked)["id"])
        if known.fingerprint == _fingerprint(payload):
            self.done["unchanged"] += 1
        else:
            self.metabase.put(f"/api/{kind}/{known.number}", marked)
            self.done["updated"] += 1
        return known.number


def _fingerprint(payload: Payload) -> str:
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:12]


def _marked(about: str, key: str, payload: Payload) -> str:
    return f"{about}\n\nParley: {key} [{_fingerprint(payload)}]".lstrip()


def details(settings: Settings, tenant: str | None = None) -> Payload:
    """How Metabase reaches the warehouse: as the BI role, or as a tenant. Raises ParleyError where it cannot."""
    found = database.variables(settings)
    host = os.environ.get("METABASE_WAREHOUSE_HOST") or found["PGHOST"]
    if not host or host.startswith(("/", "@")):
        raise ParleyError(
            "Metabase reaches Postgres by TCP only, and Parley's is on a local socket: "
            "name a server in PGHOST or DATABASE_URL, or in METABASE_WAREHOUSE_HOST what Metabase should use."
        )
    port = os.environ.get("METABASE_WAREHOUSE_PORT") or found["PGPORT"]
    if not port.isdigit():
        raise ParleyError(f"METABASE_WAREHOUSE_PORT={port!r} is not a port: set it to a number such as 5432.")
    if tenant:
        user, password = tenant_roles.dashboards_login(settings, [tenant])
    else:
        user, password = bi_role.role(settings), bi_role.password(settings)
    return {
        "host": host,
        "port": int(port),
        "dbname": found["PGDATABASE"],
        "user": user,
        "password": password,
        "ssl": found.get("PGSSLMODE", "") in ("require", "verify-ca", "verify-full"),
        "tunnel-enabled": False,
        "schema-filters-type": "inclusion",
        "schema-filters-patterns": ",".join(bi_role.SCHEMAS),
    }


def first_tenants(settings: Settings, source: Source) -> dict[str, str | None]:
    """By dataset: the name of its first tenant, which its boards show until somebody chooses another."""
    tables = {board.get("tenants_of", "tenants_overview") for board in source.boards.values()}
    with database.connect(settings) as connection:
        return {table: _first_tenant(connection, source.datasets[table]) for table in tables}


def _first_tenant(connection: database.Connection, dataset: Dataset) -> str | None:
    query = f"select tenant from ({dataset.sql}) as dataset order by tenant_id limit 1"
    found = connection.execute(query.encode()).fetchone()
    return str(found[0]) if found else None


def name_of(settings: Settings, tenant_id: str) -> str:
    """What a tenant is called where no other is seen."""
    with database.connect(settings) as connection:
        found = connection.execute("select name from marts.tenants_overview where tenant_id = %s", [tenant_id])
        [(name,)] = found.fetchall()
    return str(name)


def provision() -> Counter[str]:
    """Bring the Metabase of the environment up to date; returns how many objects were created, updated and so on.

    Raises ParleyError where the environment does not say enough, or Metabase does not answer or refuses.
    """
    url, key = os.environ.get("METABASE_URL"), os.environ.get("METABASE_API_KEY")
    user, password = os.environ.get("METABASE_USER"), os.environ.get("METABASE_PASSWORD")
    if not url:
        raise ParleyError("METABASE_URL is not set: set it to where Metabase is, such as http://localhost:3000.")
    if not key and not (user and password):
        raise ParleyError("Metabase asks who we are: set METABASE_API_KEY, or METABASE_USER and METABASE_PASSWORD.")
    settings, source, tenant = Settings.load(), Source(), os.environ.get("METABASE_TENANT") or None
    connection = details(settings, tenant)
    tenant_roles.prepare(settings)
    if tenant:
        tenant_roles.check(settings, [tenant])
        tenant_roles.prepare(settings, [tenant])
    first = first_tenants(settings, source)
    if tenant:
        first = dict.fromkeys(first, name_of(settings, tenant))
    with api.connect(url, key) as metabase:
        if not key and user and password:
            metabase.sign_in(user, password)
        provisioner = Provisioner(metabase, tenant)
        provisioner.run(source, connection, first)
    return provisioner.done


def main() -> None:
    """Provision, and say what was done."""
    try:
        done = provision()
    except ParleyError as error:
        sys.exit(f"parley: {error}")
    print(f"{os.environ['METABASE_URL']}: " + ", ".join(f"{done[what]} {what}" for what in DONE))


if __name__ == "__main__":
    main()
