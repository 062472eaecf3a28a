"""Opening hours: how long a tenant was open between two moments."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.oracle.world import World


def open_milliseconds(world: World, tenant_id: str, earlier: datetime, later: datetime) -> float | None:
    """Milliseconds of opening hours between two moments; None where the tenant has no hours and is always open."""
    own = [hours for hours in world.hours if hours.tenant_id == tenant_id]
    hours = own or [hours for hours in world.hours if hours.tenant_id == "*"]
    if not hours:
        return None
    tenant = world.tenant(tenant_id)
    zone = ZoneInfo(tenant.time_zone)
    day, last = tenant.local_date(earlier), tenant.local_date(later)
    total = timedelta(0)
    while day <= last:
        midnight = datetime(day.year, day.month, day.day)
        for span in hours:
            if span.weekday != f"{day:%A}".lower() or {("*", day), (tenant_id, day)} & world.holidays:
                continue
            opens, closes = (
                (midnight + timedelta(hours=int(clock[:2]), minutes=int(clock[3:])))
                .replace(tzinfo=zone)
                .astimezone(UTC)
                for clock in (span.opens, span.closes)
            )
            total += max(timedelta(0), min(later, closes) - max(earlier, opens))
        day += timedelta(1)
    return total / timedelta(milliseconds=1)
