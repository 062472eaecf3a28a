"""Where messages go: names in the rules, apprise URLs outside the repository, since they hold secrets.

`PARLEY_CHANNEL_<NAME>` in the environment holds the URLs of one channel, separated by blanks;
`PARLEY_HOME/channels.yml` holds them all:

    team: slack://…
    on_call: [pagerduty://…, mailtos://…]
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from parley.alerts import pagerduty
from parley.errors import ParleyError
from parley.settings import Settings

if TYPE_CHECKING:
    from apprise import NotifyBase

FILE = "channels.yml"
VARIABLE = "PARLEY_CHANNEL_"
KEY_HEADER = "Idempotency-Key"
"""Carries a message's key to webhooks and in e-mails, so that the receiver can tell that it came twice."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KINDS = {"info": "info", "warning": "warning", "critical": "failure", "resolved": "success"}
_TELLING = 6  # characters from which on a part of a URL is taken for a secret
_LONGEST_REASON = 300

Urls = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message."""

    name: str
    mime_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `key` stays the same however often it is sent."""

    key: str
    title: str
    body: str
    tone: str
    """info, warning, critical or resolved."""
    incident: str = ""
    """What the messages of one alert have in common, for services that open and close incidents."""
    html: str = ""
    """What a mail shows instead of the body, with its images as `cid:` and their names."""
    images: tuple[Attachment, ...] = ()
    files: tuple[Attachment, ...] = ()
    """For every service that takes any."""


def load(settings: Settings) -> dict[str, Urls]:
    """The URLs of each channel. Raises ParleyError where the file or a name makes no sense."""
    found = _from_file(settings.home / FILE)
    for variable, value in os.environ.items():
        if variable.startswith(VARIABLE) and value.strip():
            name = variable.removeprefix(VARIABLE).lower()
            found[_checked(name, variable)] = tuple(value.split())
    return dict(sorted(found.items()))


def masked(url: str) -> str:
    """The service of a URL, without anything that could be a secret or an address."""
    _service(url)  # refuses what is none
    return f"{url.partition('://')[0]}://…"


def send(urls: Urls, message: Message) -> None:
    """Send a message to every URL of a channel. Raises ParleyError, free of secrets, where one of them refuses it."""
    import apprise
    from apprise.plugins.pagerduty import NotifyPagerDuty

    for url in urls:
        service = _service(url)
        if isinstance(service, NotifyPagerDuty):
            pagerduty.send(service, message.incident or message.key, message.title, message.body, message.tone)
            continue
        if isinstance(headers := getattr(service, "headers", None), dict):
            headers[KEY_HEADER] = message.key
        kind = apprise.NotifyType(_KINDS[message.tone])
        content = _content(service, message)
        capture = apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s")  # type: ignore[no-untyped-call]
        with capture as log:
            if not service.notify(title=message.title, notify_type=kind, **content):
                said = log.getvalue().strip().splitlines()
                raise ParleyError(_without_secrets(said[-1] if said else "it was refused without a reason", url))


def _content(service: "NotifyBase", message: Message) -> dict[str, Any]:
    """What a service gets: a mail shows the HTML, whatever its URL says of formats; the others the text."""
    import apprise
    from apprise.attachment.memory import AttachMemory
    from apprise.plugins.email import NotifyEmail

    content: dict[str, Any] = {"body": message.body}
    files = list(message.files) if service.attachment_support else []
    if message.html and isinstance(service, NotifyEmail):
        service.notify_format, service.inline = apprise.NotifyFormat.HTML, True
        content = {"body": message.html, "body_format": apprise.NotifyFormat.HTML}
        files = [*message.images, *files]
    if files:
        content["attach"] = apprise.AppriseAttachment(
            [
                AttachMemory(content=file.content, name=file.name, mimetype=file.mime_type)  # type: ignore[no-untyped-call]
                for file in files
            ]
        )
    return content


def _from_file(path: Path) -> dict[str, Urls]:
    try:
        content = yaml.safe_load(path.read_text()) if path.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None  # its message would quote the file
    if not isinstance(content, Mapping):
        raise ParleyError(f"{path} cannot be read: write a line `name: URL` for each channel.")
    return {_checked(name, path.name): _urls(name, urls) for name, urls in content.items()}


def _urls(name: str, given: Any) -> Urls:
    urls = [given] if isinstance(given, str) else given
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise ParleyError(f"{FILE}, {name}: write a URL, or a list of URLs in brackets.")
    return tuple(urls)


def _checked(name: object, where: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ParleyError(f"{where}: {name!r} cannot be a channel: write small letters, digits and _.")
    return name


def _service(url: str) -> "NotifyBase":
    import apprise

    asset = apprise.AppriseAsset(app_id="Parley", app_desc="Parley", app_url="")
    service = apprise.Apprise.instantiate(url, asset=asset)
    if not isinstance(service, apprise.NotifyBase):
        raise ParleyError(
            f"A URL that begins with {url.partition(':')[0][:20]!r} is none that apprise understands: "
            "see its list of services, and fix the channel."
        )
    return service


def _without_secrets(text: str, url: str) -> str:
    for part in sorted(re.split(r"[/:@?&=,]+", url)[1:], key=len, reverse=True):
        if len(part) >= _TELLING:
            text = text.replace(part, "…")
    return text[:_LONGEST_REASON]
