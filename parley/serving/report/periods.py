"""Which days a report is of, and the days before that it is compared with. Dates are the tenant's."""

from dataclasses import dataclass
from datetime import date, timedelta

from parley.config.report_recipients import Kind
from parley.config.tenants import WEEKDAYS

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included; `kind` says that they are a week or month of the marts."""

    first: date
    last: date
    kind: Kind | None = None

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def dates(self) -> list[date]:
        return [self.first + number * DAY for number in range(self.days)]

    @property
    def before(self) -> "Period":
        """The month before a month, else as many days."""
        last = self.first - DAY
        first = last.replace(day=1) if self.kind == "month" else last - (self.days - 1) * DAY
        return Period(first, last, self.kind)

    @property
    def name(self) -> str:
        """October 2026, or the days, such as 9–15 November 2026."""
        if self.kind == "month":
            return f"{self.first:%B %Y}"
        end = f"{self.last.day} {self.last:%B %Y}"
        if self.first == self.last:
            return end
        if self.first.year != self.last.year:
            return f"{self.first.day} {self.first:%B %Y} – {end}"
        if self.first.month != self.last.month:
            return f"{self.first.day} {self.first:%B} – {end}"
        return f"{self.first.day}–{end}"

    @property
    def noun(self) -> str:
        """What it is: a week, a month, or so many days."""
        return self.kind or ("day" if self.days == 1 else f"{self.days} days")


def of_days(first: date, last: date, week_start: str) -> Period:
    """These days; where they are a week or a month of the tenant's, they are known as such."""
    if first.day == 1 and (last + DAY).day == 1 and (last - first).days < 31:
        return Period(first, last, "month")
    if first == _start_of_week(first, week_start) and last == first + WEEK - DAY:
        return Period(first, last, "week")
    return Period(first, last)


def last_whole(kind: Kind, today: date, week_start: str) -> Period:
    """The last week or month that was over before `today`."""
    if kind == "month":
        last = today.replace(day=1) - DAY
        return Period(last.replace(day=1), last, kind)
    start = _start_of_week(today, week_start) - WEEK
    return Period(start, start + WEEK - DAY, kind)


def _start_of_week(day: date, week_start: str) -> date:
    return day - ((day.weekday() - WEEKDAYS.index(week_start)) % 7) * DAY
