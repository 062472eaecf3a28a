"""Metabase's REST API as far as `provision.py` needs it: written to that of v0.50 and later, open-source edition."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from parley.errors import ParleyError

SECONDS = 60  # a question is checked, and a model's columns are looked at, while it is saved
CONNECTION_RETRIES = 5  # over a quarter of a minute: Metabase may just be starting
LONGEST_COMPLAINT = 300


class Metabase:
    """A Metabase that we are signed in to."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **query: Any) -> Any:
        """What `GET path` answers."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, payload: dict[str, Any]) -> Any:
        """What `POST path` answers."""
        return self._ask("POST", path, json=payload)

    def put(self, path: str, payload: dict[str, Any]) -> Any:
        """What `PUT path` answers."""
        return self._ask("PUT", path, json=payload)

    def sign_in(self, user: str, password: str) -> None:
        """Ask for a session; in a Metabase that nobody has set up, make this user its administrator."""
        known = self.get("/api/session/properties")
        token = known.get("setup-token")
        if token and not known.get("has-user-setup"):
            self.post(
                "/api/setup",
                {
                    "token": token,
                    "user": {"email": user, "password": password, "first_name": "Parley", "last_name": "Admin"},
                    "prefs": {"site_name": "Parley", "allow_tracking": False},
                },
            )
        session = self.post("/api/session", {"username": user, "password": password})
        self._client.headers["X-Metabase-Session"] = session["id"]

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        url = self._client.base_url
        try:
            answer = self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ParleyError(
                f"Metabase at {url} does not answer ({type(error).__name__}): is it up, and is METABASE_URL right?"
            ) from None
        if answer.status_code in (401, 403):
            raise ParleyError(
                f"Metabase at {url} refused {method} {path}: check METABASE_API_KEY, or METABASE_USER and "
                "METABASE_PASSWORD; they must be an administrator's."
            )
        if not answer.is_success:
            raise ParleyError(f"Metabase at {url} refused {method} {path} with {answer.status_code}: {_why(answer)}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise ParleyError(f"What answers at {url} is no Metabase: set METABASE_URL to one.") from None


@contextmanager
def connect(url: str, api_key: str | None) -> Iterator[Metabase]:
    """A Metabase, with this key where there is one; without, `sign_in` is next."""
    headers = {"X-API-Key": api_key} if api_key else {}
    transport = httpx.HTTPTransport(retries=CONNECTION_RETRIES)
    try:
        client = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=SECONDS, transport=transport)
    except httpx.InvalidURL:
        raise ParleyError("METABASE_URL is not a URL: write it as http://localhost:3000.") from None
    with client:
        yield Metabase(client)


def _why(answer: httpx.Response) -> str:
    """Metabase's own words, where it says any."""
    try:
        said = answer.json()
    except ValueError:
        return answer.text[:LONGEST_COMPLAINT]
    if isinstance(said, dict):
        said = said.get("errors") or said.get("message") or said
    return str(said)[:LONGEST_COMPLAINT]
