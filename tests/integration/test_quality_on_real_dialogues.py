"""Scores made of signals rank real dialogues as their customers did, who rated them, and as they ended.

The figures and how they came about are in docs/decisions/quality.md; the floors lie a little under them.
"""

from pathlib import Path

import pytest

from benchmarks.quality import FILE, measure
from parley.settings import Settings
from tests.support.warehouse import copy_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.builds,
    pytest.mark.skipif(not FILE.exists(), reason="../shared/data is not beside the repository"),
]


def test_signals_rank_rated_dialogues_and_tell_resolved_from_abandoned_ones(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project", [])
    monkeypatch.setenv("PARLEY_PROJECT", str(project))
    found = {(row["score"], *row["left_out"]): row for row in measure(Settings.load(), project, FILE)}

    without_rating = found["overall", "rating"]
    assert without_rating["rated"] == 2580
    assert without_rating["rank_correlation"] >= 0.35
    assert without_rating["auc_of_rating"] >= 0.82
    assert found["helpfulness", "rating"]["auc_of_rating"] >= 0.82
    assert found["accuracy", "rating"]["auc_of_rating"] >= 0.6

    without_outcome = found["overall", "rating", "resolution"]
    assert without_outcome["rank_correlation"] >= 0.35
    assert without_outcome["auc_of_rating"] >= 0.82
    assert without_outcome["auc_of_completion"] >= 0.85
