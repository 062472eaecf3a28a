"""What definitions say of events must be in each tenant's own data: event types of its plan, attributes it keeps."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from parley.config.seeds import Row
from parley.config.tenants import Tenant
from parley.config.tracking_plan import EventType, PrivacyLists
from parley.landing.privacy import Privacy
from parley.warehouse.names import EVERY_TENANT

PROBE = "probe"
CHANNEL = "channel"
_STRING = re.compile(r'(?<!\.)"(?:[^"\\]|\\.)*"')
_CHAIN = re.compile(r'([$@])((?:\s*(?:\[[^]]*\]|\.\s*(?:"(?:[^"\\]|\\.)*"|[^\W\d]\w*(?!\w*\s*\()))+)+)')
_KEY = re.compile(r'\.\s*(?:"((?:[^"\\]|\\.)*)"|([^\W\d]\w*))')


class References:
    """What tenants' tracking plans know and keep."""

    def __init__(
        self, types: Iterable[EventType], privacy: PrivacyLists, secret: bytes, tenants: Mapping[str, Tenant]
    ) -> None:
        self._types = {(kind.tenant_id, kind.event_name): kind for kind in types}
        self._names = {name for _, name in self._types}
        self._by_alias = {alias: kind.event_name for kind in self._types.values() for alias in kind.aliases}
        self._privacy = Privacy(privacy, secret)
        self._tenants = tenants

    def check_names(self, row: Row, column: str, named: Iterable[str | None], tenant_id: str) -> None:
        """Every named event is one that this tenant, or with `*` any tenant, can have."""
        for name in named:
            if name is None or self._is_known(name, tenant_id):
                continue
            hint = "`parley events list` shows the names"
            if name in self._by_alias:
                hint = f"write {self._by_alias[name]}"
            whose = "the tracking plan" if tenant_id == EVERY_TENANT else f"the tracking plan of {tenant_id}"
            row.wrong(column, f"{name!r} is no event name of {whose}: {hint}.")

    def _is_known(self, name: str, tenant_id: str) -> bool:
        if tenant_id == EVERY_TENANT:
            return name in self._names or any(tenant.admit_unregistered_types for tenant in self._tenants.values())
        tenant = self._tenants.get(tenant_id)
        admits = tenant is not None and tenant.admit_unregistered_types
        return admits or not self._types.keys().isdisjoint({(tenant_id, name), (EVERY_TENANT, name)})

    def check_kept(self, row: Row, column: str, path: str | None, named: Sequence[str | None], tenant_id: str) -> None:
        """Landing keeps the attributes that a path reads, of every one of the events (None: any) and tenants."""
        for keys in keys_of(path or ""):
            for kind in self._of(named, tenant_id):
                probe: Any = PROBE
                for key in reversed(keys):
                    probe = {key: probe}
                aliases = {alias: kind.privacy[name] for alias, name in kind.renames.items() if name in kind.privacy}
                if self._privacy.of_type(kind.privacy | aliases)(probe) != probe:
                    whose = "" if kind.tenant_id == EVERY_TENANT else f" of {kind.tenant_id}"
                    row.wrong(
                        column,
                        f"the attribute {'.'.join(keys)!r} of {kind.event_name}{whose} is masked, hashed or dropped "
                        "when it lands: name one that is kept, or keep it in the tracking plan.",
                    )

    def _of(self, named: Sequence[str | None], tenant_id: str) -> Iterator[EventType]:
        """The event types that these names mean for the tenant, its own before the shared one."""
        for (owner, name), kind in self._types.items():
            is_meant = None in named or name in named
            is_own = tenant_id in (EVERY_TENANT, owner)
            if is_meant and (is_own or (owner == EVERY_TENANT and (tenant_id, name) not in self._types)):
                yield kind


def parts_of(breakdown: str | None) -> list[str]:
    """The attributes of a breakdown, taken apart as the staging models do it."""
    return re.split(r"(?<![|])[|](?![|])", breakdown) if breakdown else []


def keys_of(path: str) -> Iterator[tuple[str, ...]]:
    """The attributes that a SQL/JSON path reads, each by the keys that lead to it."""
    root: tuple[str, ...] = ()
    for start, chain in _CHAIN.findall(_STRING.sub("", path)):
        keys = tuple(quoted or plain for quoted, plain in _KEY.findall(chain))
        if start == "$":
            root = keys
        if keys:
            yield keys if start == "$" else root + keys
