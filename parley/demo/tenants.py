"""The four tenants of the demo: who lives when, and which stories. `seeds/tenants.csv` names the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from parley.demo import stories
from parley.demo.stories import Story

# how busy each hour of the local day is, from midnight on
OFFICE = (2, 1, 1, 1, 1, 3, 10, 28, 62, 88, 95, 92, 78, 84, 86, 82, 76, 66, 52, 44, 36, 26, 14, 6)
EVENING = (4, 2, 1, 1, 1, 2, 5, 12, 26, 42, 52, 60, 66, 62, 58, 56, 60, 70, 82, 92, 95, 78, 44, 16)
MEALS = (3, 1, 1, 1, 1, 1, 2, 6, 14, 30, 62, 96, 92, 52, 34, 36, 56, 88, 98, 90, 62, 38, 20, 8)
NIGHT_OWLS = (44, 18, 6, 2, 2, 3, 8, 18, 32, 44, 52, 58, 66, 60, 56, 56, 60, 66, 74, 86, 96, 98, 90, 76)


@dataclass(frozen=True, slots=True)
class Plan:
    """One tenant of the demo."""

    tenant_id: str
    time_zone: str
    share: float
    """Of all events."""
    hours: tuple[int, ...]
    weekdays: tuple[int, ...]
    """How busy each day of the week is, from Monday on."""
    newcomers: float
    """Share of visits that are somebody's first."""
    story: Story
    sources: Mapping[str, int]
    """Where visits come from, by weight."""
    numbers_conversations: bool = True
    """Whether conversations have an id of their own; else they are known by their session."""
    newcomers_register: bool = False
    anonymous: float = 0.0
    """Share of visits whose customer is not known."""
    has_outage: bool = False
    has_experiment: bool = False


PLANS = (
    Plan(
        tenant_id="nordic-bank",
        time_zone="Europe/Stockholm",
        share=0.35,
        hours=OFFICE,
        weekdays=(110, 104, 100, 98, 96, 38, 30),
        newcomers=0.24,
        story=stories.bank_chat,
        sources={"web": 7, "telegram": 3},
        has_outage=True,
    ),
    Plan(
        tenant_id="salon-paris",
        time_zone="Europe/Paris",
        share=0.2,
        hours=EVENING,
        weekdays=(70, 90, 96, 104, 118, 96, 60),
        newcomers=0.32,
        story=stories.salon_chat,
        sources={"widget": 8, "telegram": 2},
        newcomers_register=True,
    ),
    Plan(
        tenant_id="voice-tokyo",
        time_zone="Asia/Tokyo",
        share=0.2,
        hours=MEALS,
        weekdays=(76, 78, 82, 90, 116, 124, 104),
        newcomers=0.36,
        story=stories.phone_call,
        sources={"voice_ws": 1},
        numbers_conversations=False,
    ),
    Plan(
        tenant_id="shop-newyork",
        time_zone="America/New_York",
        share=0.25,
        hours=NIGHT_OWLS,
        weekdays=(92, 88, 88, 92, 96, 106, 118),
        newcomers=0.26,
        story=stories.shopping,
        sources={"web": 1},
        newcomers_register=True,
        anonymous=0.08,
        has_experiment=True,
    ),
)
