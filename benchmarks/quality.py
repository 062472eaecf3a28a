"""How well the scores made of signals rank real dialogues: `python benchmarks/quality.py [FILE]`.

Lands STAR's dialogues (../shared/data/star.events.ndjson.gz) in an embedded Postgres of its own, builds the scores
without the rating among the signals, then without the outcome too, and prints one JSON line per measurement: Spearman's
rank correlation with the customers' ratings, and the area under the ROC curve (AUC) for telling the dialogues rated 1
from the others, and resolved ones from abandoned ones. Takes about two minutes.

With `--fit` it prints the weights of helpfulness that rank the rated dialogues best, for the seed `quality_weights`,
and the AUC that weights fitted to four fifths of the dialogues reach on the other fifth.
"""

import argparse
import csv
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from parley.build.builds import BuildRequest, build
from parley.landing.loader import load
from parley.settings import Settings
from parley.warehouse import database, embedded, migrate
from tests.support.warehouse import copy_project

PROJECT = Path(__file__).resolve().parents[1]
FILE = PROJECT.parent / "shared/data/star.events.ndjson.gz"
AS_OF = datetime(2020, 6, 1, tzinfo=UTC)  # later than any of STAR's events
SCORES = ("overall", "helpfulness", "accuracy")  # politeness is what judges say alone
FOLDS = 5
CHOICES = range(9)  # weights to choose from
LEAST_DIFFERENCE = 0.01  # standard deviation of a signal that a weight is fitted to
LEAST_GAIN = 0.0005  # of the AUC
LEFT_OUT: tuple[tuple[str, ...], ...] = (("rating",), ("rating", "resolution"))


def auc(scores: npt.NDArray[np.float64], good: npt.NDArray[np.bool_]) -> float:
    """The share of pairs of a good and a bad one in which the good one has the higher score; ties count half."""
    ranks, count = stats.rankdata(scores), int(good.sum())
    return float((ranks[good].sum() - count * (count + 1) / 2) / (count * (len(good) - count)))


def leave_out(project: Path, signals: Collection[str]) -> None:
    """Take the signals out of a copied project's weights."""
    with (PROJECT / "seeds/quality_weights.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row["signal"] not in signals]
    with (project / "seeds/quality_weights.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, reader.fieldnames or ())
        writer.writeheader()
        writer.writerows(rows)


def figures(settings: Settings, score: str) -> dict[str, Any]:
    """What a score, as it is built, says of ratings and outcomes."""
    with database.connect(settings) as connection:
        rows = connection.execute(
            f"select {score}_score::float, conversations.rating, conversations.outcome = 'resolved'"
            " from marts.conversation_quality_scores inner join facts.conversations using (tenant_id, conversation_id)"
            f" where {score}_score is not null".encode()
        ).fetchall()
    everything = np.array(rows, dtype=float)
    rated = everything[~np.isnan(everything[:, 1])]
    return {
        "rated": len(rated),
        "rank_correlation": round(float(stats.spearmanr(rated[:, 0], rated[:, 1]).statistic), 3),
        "auc_of_rating": round(auc(rated[:, 0], rated[:, 1] == 1), 3),
        "dialogues": len(everything),
        "auc_of_completion": round(auc(everything[:, 0], everything[:, 2] == 1), 3),
    }


def fit(settings: Settings) -> dict[str, Any]:
    """Whole weights of helpfulness from the signals as built: the best ones, and how they do on other dialogues.

    The rating is no signal here; signals that hardly differ between the dialogues keep the seed's weights.
    """
    with (PROJECT / "seeds/quality_weights.csv").open(newline="") as file:
        seed = {
            row["signal"]: float(row["weight"])
            for row in csv.DictReader(file)
            if row["tenant_id"] == "*" and row["score"] == "helpfulness" and row["signal"] != "rating"
        }
    with database.connect(settings) as connection:
        rows = connection.execute(
            f"select conversations.rating = 1, {', '.join(f'signals.{name}::float' for name in seed)}"
            " from facts.conversation_signals as signals"
            " inner join facts.conversations using (tenant_id, conversation_id) where conversations.rating is not null"
            " order by tenant_id, conversation_id".encode()
        ).fetchall()
    table = np.array(rows, dtype=float)
    good, signals = table[:, 0] == 1, table[:, 1:]
    fold = np.random.default_rng(0).permutation(len(good)) % FOLDS
    held_out = [
        auc(scores(signals[fold == k], best_weights(signals[fold != k], good[fold != k], seed)), good[fold == k])
        for k in range(FOLDS)
    ]
    weights = best_weights(signals, good, seed)
    return {
        "fit": "helpfulness",
        "weights": dict(zip(seed, weights.tolist(), strict=True)),
        "auc_of_rating": round(auc(scores(signals, weights), good), 3),
        "auc_on_held_out_fifths": round(float(np.mean(held_out)), 3),
    }


def scores(signals: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """As the macro `weighted_score`: the weighted mean, to two decimals, of the signals that apply."""
    applies = ~np.isnan(signals)
    sums = (np.where(applies, signals, 0) * weights).sum(axis=1)
    return np.round(sums / np.maximum((applies * weights).sum(axis=1), 1e-9), 2)


def best_weights(
    signals: npt.NDArray[np.float64], good: npt.NDArray[np.bool_], seed: dict[str, float]
) -> npt.NDArray[np.float64]:
    """One weight after the other moved to where the AUC is highest, until none moves."""
    weights = np.array(list(seed.values()))
    differing = [n for n in range(len(seed)) if np.nanstd(np.nan_to_num(signals[:, n], nan=-1)) > LEAST_DIFFERENCE]
    best, moved = auc(scores(signals, weights), good), True
    while moved:
        moved = False
        for place in differing:
            for weight in CHOICES:
                tried = weights.copy()
                tried[place] = weight
                if (found := auc(scores(signals, tried), good)) > best + LEAST_GAIN:
                    best, weights, moved = found, tried, True
    return weights


def measure(settings: Settings, project: Path, file: Path) -> Iterator[dict[str, Any]]:
    """Land and build in the warehouse and the copied project that the settings name; one row per score and choice."""
    load(settings, str(file))
    select: tuple[str, ...] = ("+conversation_quality_scores",)
    for signals in LEFT_OUT:
        leave_out(project, signals)
        outcome = build(settings, BuildRequest(as_of=AS_OF, select=select))
        assert outcome.is_good, outcome.problems
        for score in SCORES:
            yield {"left_out": list(signals), "score": score, **figures(settings, score)}
        select = ("quality_weights", "conversation_quality_scores")


def main(file: Path, is_fit: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        project = copy_project(Path(folder, "project"), [])
        for name in [name for name in os.environ if name == "DATABASE_URL" or name.startswith("PG")]:
            del os.environ[name]
        os.environ |= {"PARLEY_HOME": str(Path(folder, "home")), "PARLEY_PROJECT": str(project)}
        settings = Settings.load()
        try:
            migrate.upgrade(settings)
            for row in measure(settings, project, file):
                print(json.dumps(row), flush=True)
            if is_fit:
                print(json.dumps(fit(settings)), flush=True)
        finally:
            embedded.stop(settings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    parser.add_argument("--fit", action="store_true", help="fit the weights of helpfulness too")
    arguments = parser.parse_args()
    main(arguments.file, arguments.fit)
