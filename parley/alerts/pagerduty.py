"""PagerDuty's incidents: what fires opens one, and what is resolved closes it.

apprise reads the URL, but sends every message as an event of its own, so that one that says "resolved" would open a
second incident. The fields are those of PagerDuty's Events API v2.
"""

from typing import TYPE_CHECKING

from parley.errors import ParleyError

if TYPE_CHECKING:
    from apprise.plugins.pagerduty import NotifyPagerDuty

TAKEN = 202
_LONGEST_SUMMARY = 1024
_SEVERITIES = {"info": "info", "warning": "warning", "critical": "critical", "resolved": "info"}


def send(service: "NotifyPagerDuty", incident: str, title: str, body: str, tone: str) -> None:
    """Open, add to, or (with the tone "resolved") close an incident. Raises ParleyError where PagerDuty refuses it."""
    import httpx
    from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP

    event = {
        "routing_key": service.integration_key,
        "dedup_key": incident,
        "event_action": "resolve" if tone == "resolved" else "trigger",
        "client": service.app_id,
        "payload": {
            "summary": title[:_LONGEST_SUMMARY],
            "severity": service.severity or _SEVERITIES[tone],
            "source": service.source,
            "component": service.component,
            "group": service.group,
            "class": service.class_id,
            "custom_details": {"message": body, **service.details},
        },
        "links": [{"href": service.click}] if service.click else [],
    }
    try:
        answer = httpx.post(
            PAGERDUTY_API_LOOKUP[service.region_name],
            json=event,
            timeout=service.request_timeout,
            verify=service.verify_certificate,
        )
    except httpx.HTTPError as error:
        raise ParleyError(f"PagerDuty cannot be reached ({type(error).__name__})") from None
    if answer.status_code != TAKEN:
        raise ParleyError(f"PagerDuty refused it with status {answer.status_code}")
