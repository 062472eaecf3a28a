"""Every story of a tenant, told in advance and laid out flat, so that numpy can look events up by number."""

import math
import random
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parley.demo import stories
from parley.demo.stories import Narrator, Story, Told
from parley.demo.tenants import Plan

SHORTEST_MEAN = 6  # events of a story, on average, in the tenant with the shortest


class Shelf(NamedTuple):
    """A run of stories of one sort."""

    first: int
    size: int

    def at(self, turn: NDArray[np.int64]) -> NDArray[np.int64]:
        """The stories whose turn it is: each is told once before any is told again."""
        return self.first + turn % self.size


@dataclass(frozen=True, slots=True)
class Library:
    """The stories of one tenant: `settings`, `begins` and `lengths` by story, the others by event."""

    usual: Shelf
    unusual: Shelf
    """During the outage, or with the experiment's new variant; else the usual ones."""
    registration: Shelf
    exposure: Shelf
    """To the old and to the new variant."""
    settings: list[bytes]
    begins: NDArray[np.int64]
    lengths: NDArray[np.int64]
    after_ms: NDArray[np.float64]
    values: NDArray[np.float64]
    fills: NDArray[np.int8]
    places: NDArray[np.int8]
    bodies: list[bytes]

    @property
    def mean_length(self) -> float:
        """Events of a usual story, on average."""
        first, size = self.usual
        return float(self.lengths[first : first + size].mean())


def fill(plan: Plan, size: float, most: int, seed: int) -> Library:
    """Tell as many stories as `size` events of this tenant need, at `most` so many of a sort."""
    rng = random.Random(f"{seed} {plan.tenant_id}")
    enough = min(most, math.ceil(size / SHORTEST_MEAN) + 1)
    told: list[Told] = []

    def shelf(story: Story, count: int, **mood: bool) -> Shelf:
        told.extend(tell(plan, story, rng, **mood) for _ in range(count))
        return Shelf(len(told) - count, count)

    usual = unusual = shelf(plan.story, enough)
    if plan.has_outage:
        unusual = shelf(plan.story, min(enough, 250), outage=True)
    if plan.has_experiment:
        unusual = shelf(plan.story, enough, eager=True)
    registration = shelf(stories.registration, min(enough, 100))
    exposure = Shelf(shelf(stories.exposure("control"), 1).first, 2)
    shelf(stories.exposure("one_page"), 1)
    steps = [step for one in told for step in one.steps]
    lengths = np.array([len(one.steps) for one in told], dtype=np.int64)
    return Library(
        usual=usual,
        unusual=unusual,
        registration=registration,
        exposure=exposure,
        settings=[one.setting for one in told],
        begins=np.cumsum(lengths) - lengths,
        lengths=lengths,
        after_ms=np.array([step.after_ms for step in steps]),
        values=np.array([step.value for step in steps]),
        fills=np.array([step.fill for step in steps], dtype=np.int8),
        places=np.array([step.place for step in steps], dtype=np.int8),
        bodies=[step.body for step in steps],
    )


def tell(plan: Plan, story: Story, rng: random.Random, **mood: Any) -> Told:
    """One story of the tenant."""
    (source,) = rng.choices(list(plan.sources), list(plan.sources.values()))
    narrator = Narrator(rng, stories.bank()["tenants"][plan.tenant_id], source, **mood)
    story(narrator)
    return narrator.told()
