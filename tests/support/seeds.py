"""The seeds of a copied project, written from what the oracle goes by."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.oracle.funnels import Funnel, Matcher


def write_seed(project: Path, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Put these rows in the seed, what its columns have no place for aside."""
    path = project / "seeds" / f"{name}.csv"
    with path.open(newline="") as file:
        columns = next(csv.reader(file))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def add_to_seed(project: Path, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Put these rows behind those that the seed has."""
    with (project / "seeds" / f"{name}.csv").open(newline="") as file:
        known = list(csv.DictReader(file))
    write_seed(project, name, [*known, *rows])


def write_funnels(project: Path, funnels: Iterable[Funnel]) -> None:
    """Put these funnels in the three seeds that define funnels; no experiment is measured by another."""
    funnels = list(funnels)
    write_seed(project, "experiment_metrics", ())
    write_seed(
        project,
        "funnel_definitions",
        (
            {
                "funnel_id": funnel.funnel_id,
                "name": funnel.funnel_id,
                "tenant_id": funnel.tenant_id,
                "unit": funnel.unit,
                "step_order": funnel.step_order,
                "ties": funnel.ties,
                "window_seconds": int(funnel.window.total_seconds()),
                "breakdown": funnel.breakdown,
                "breakdown_touch": funnel.breakdown_touch,
                "breakdown_step": funnel.breakdown_step,
                "breakdown_limit": funnel.breakdown_limit,
            }
            for funnel in funnels
        ),
    )
    write_seed(
        project,
        "funnel_steps",
        (
            {
                "funnel_id": funnel.funnel_id,
                "step": step,
                "step_name": f"Step {step}",
                "is_optional": str(step in funnel.optional).lower(),
                **_matcher(matcher),
            }
            for funnel in funnels
            for step, matcher in enumerate(funnel.steps, 1)
        ),
    )
    write_seed(
        project,
        "funnel_exclusions",
        (
            {
                "funnel_id": funnel.funnel_id,
                "exclusion": number,
                **_matcher(exclusion.matcher),
                "after_step": exclusion.after_step,
                "before_step": exclusion.before_step,
            }
            for funnel in funnels
            for number, exclusion in enumerate(funnel.exclusions, 1)
        ),
    )


def _matcher(matcher: Matcher) -> dict[str, str]:
    return {"event_names": "|".join(matcher.event_names), "predicate": matcher.predicate}
