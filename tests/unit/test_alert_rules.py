"""The seed of alert rules: what it may hold, and the sentence for what it may not."""

import csv
from pathlib import Path

import pytest

from parley.alerts import rules
from parley.alerts.rules import Rule
from parley.errors import ParleyError

PROJECT = Path(__file__).parents[2]
RULE = {
    "rule_id": "mine",
    "tenant_id": "*",
    "metric": "daily_metrics.escalation_rate",
    "condition": "above",
    "threshold": "0.3",
    "description": "Many escalations",
}


def write(folder: Path, *given: dict[str, str]) -> Path:
    path = folder / "alert_rules.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rules.COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(given)
    return path


def test_the_shipped_rules_are_right() -> None:
    shipped = rules.read(PROJECT / rules.SEED)
    assert {rule.rule_id for rule in shipped} >= {
        *("resolution_rate_drop", "conversion_drop", "slow_answers", "error_rate", "rejected_share"),
        *("duplicate_share", "no_data", "failed_build", "failed_run", "failed_check"),
    }


def test_blank_cells_are_filled_in(tmp_path: Path) -> None:
    [rule] = rules.read(write(tmp_path, RULE | {"channels": "team|on_call", "filter": "a=b; c = d"}))
    assert rule == Rule(
        "mine",
        "*",
        "daily_metrics.escalation_rate",
        "above",
        "Many escalations",
        filter=(("a", "b"), ("c", "d")),
        threshold=0.3,
        channels=("team", "on_call"),
    )
    assert (rule.enabled, rule.severity, rule.for_days, rule.remind_after) == (True, "warning", 1, None)


def test_a_tenants_own_row_replaces_that_of_all(tmp_path: Path) -> None:
    listed = rules.read(
        write(
            tmp_path,
            RULE,
            RULE | {"tenant_id": "shop", "threshold": "0.5"},
            RULE | {"tenant_id": "bank", "enabled": "false"},
            RULE | {"rule_id": "other"},
        )
    )
    thresholds = {rule.rule_id: rule.threshold for rule in rules.for_tenant(listed, "shop")}
    assert thresholds == {"mine": 0.5, "other": 0.3}
    assert [rule.rule_id for rule in rules.for_tenant(listed, "bank")] == ["other"]
    assert [rule.threshold for rule in rules.for_tenant(listed, "salon")] == [0.3, 0.3]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"rule_id": "My rule"}, "row 2, rule_id: 'My rule' is not right: write small letters"),
        ({"rule_id": ""}, "row 2, rule_id: it is blank: write small letters"),
        ({"metric": "resolution"}, "row 2, metric: 'resolution' is not right: write a column of a mart"),
        ({"metric": "daily_metrics.a; drop table x"}, "row 2, metric"),
        ({"condition": "over"}, "row 2, condition: 'over' is not right: write above, below"),
        ({"threshold": "much"}, "row 2, threshold: 'much' is not right: write a number"),
        ({"threshold": "nan"}, "row 2, threshold: 'nan'"),
        ({"severity": "bad"}, "severity: 'bad' is not right: write info, warning or critical"),
        ({"filter": "error_class"}, "filter: 'error_class' is not right: write column=value"),
        ({"channels": "team,ops"}, "channels: 'team,ops' is not right"),
        ({"for_days": "0"}, "for_days: '0' is not right: write a whole number from 1 to 31"),
        ({"min_volume": "50"}, "volume: name the column of the mart"),
        ({"condition": "fails"}, "condition: 'fails' goes with failed_builds"),
        ({"condition": "anomaly"}, "metric: the condition 'anomaly' goes with the metric anomalies"),
        ({"condition": "falls_by", "threshold": "0"}, "threshold: write how much falls_by is too much"),
        ({"condition": "silent_hours"}, "condition: hours are known of events and landings alone"),
        ({"metric": "landings"}, "condition: landings can only be silent"),
        ({"metric": "build_seconds", "tenant_id": "shop"}, "tenant_id: build_seconds is a number and of no tenant"),
        ({"condition": "happens"}, "metric: the condition 'happens' goes with the metric event"),
        ({"metric": "event"}, "metric: the condition 'happens' goes with the metric event"),
        ({"metric": "event", "condition": "happens"}, "event_names: it is blank: write the type of event"),
        ({"event_names": "system.error"}, "event_names: only the condition 'happens' has it"),
        ({"predicate": "$.a > 1"}, "predicate: only the condition 'happens' has it"),
        ({"metric": "error_rate", "filter": "a=b"}, "filter: error_rate is one number a day"),
        ({"condition": "silent_days", "for_days": "2"}, "for_days: silent_days needs no days in a row"),
        ({"metric": "error_rate", "volume": "events"}, "volume: error_rate has its own"),
        (
            {"metric": "failed_runs", "condition": "fails", "tenant_id": "shop"},
            "tenant_id: failed_runs is of no tenant",
        ),
        ({"escalation_channels": "boss"}, "escalation_channels: fill in escalate_after_hours too"),
    ],
)
def test_a_wrong_cell_is_named_with_what_to_do(tmp_path: Path, changed: dict[str, str], sentence: str) -> None:
    with pytest.raises(ParleyError) as error:
        rules.read(write(tmp_path, RULE | changed))
    assert sentence in str(error.value)


def test_a_rule_stands_once_per_tenant(tmp_path: Path) -> None:
    with pytest.raises(ParleyError, match=r"row 3, rule_id: '\*' with 'mine' stands twice"):
        rules.read(write(tmp_path, RULE, RULE))


def test_channels_that_nobody_set_up_are_known(tmp_path: Path) -> None:
    listed = rules.read(
        write(tmp_path, RULE | {"channels": "team|mail"}, RULE | {"rule_id": "off", "enabled": "false"})
    )
    assert rules.missing_channels(listed, ["mail"]) == ["team"]
