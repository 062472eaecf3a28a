"""Tests of experiments: published cases, scipy's own tests on random figures, and figures that allow no test."""

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from parley.analytics.experiments import (
    Effect,
    Settings,
    Untestable,
    difference,
    evaluate,
    holm,
    of_conversions,
    of_sums,
    relative_lift,
    sample_ratio_p_value,
)
from parley.errors import ParleyError

SETTINGS = Settings()
CONTROL = of_sums(1396.87, 52377.9767, 3407)
VARIANT = of_sums(2422.7, 134698.29, 3461)


def rounded(effect: Effect) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in (effect.estimate, effect.ci_low, effect.ci_high, effect.p_value))


def arm(variant: str, users: int, conversions: int, **changes: Any) -> dict[str, Any]:
    """A row as the dbt model gives it; the variant named `control` is the control."""
    row: dict[str, Any] = {"tenant_id": "shop", "experiment": "greeting", "metric": "order", "kind": "proportion"}
    row |= {"variant": variant, "is_control": variant == "control", "users": users, "conversions": conversions}
    return row | changes


def revenue(variant: str, values: list[float]) -> dict[str, Any]:
    sums = {"total": math.fsum(values), "total_squares": math.fsum(value * value for value in values)}
    return arm(variant, len(values), sum(value != 0 for value in values), metric="revenue", kind="mean", **sums)


def test_the_reference_case_of_proportions_comes_out_to_the_digit() -> None:
    effect = relative_lift(of_conversions(14, 28), of_conversions(16, 30), SETTINGS)
    assert rounded(effect) == (0.06667, -0.47767, 0.61101, 0.80707)


def test_the_reference_cases_of_means_come_out_to_the_digit() -> None:
    assert rounded(relative_lift(CONTROL, VARIANT, SETTINGS)) == (0.70732, -0.03526, 1.44989, 0.06191)
    assert rounded(difference(CONTROL, VARIANT, SETTINGS)) == (0.29, 0.04538, 0.53462, 0.02016)


def test_the_sequential_interval_agrees_with_growthbooks_figures() -> None:
    """From the tests of GrowthBook's gbstats, which follows the same paper."""
    mean = relative_lift(of_sums(1396.87, 52377.9767, 3000), VARIANT, Settings(sequential_users=1000))
    assert (round(mean.sequential_low, 5), round(mean.sequential_high, 5)) == (-0.55844, 1.56516)
    assert mean.sequential_p_value == 1.0
    share = relative_lift(of_conversions(1396, 3000), of_conversions(2422, 3461), SETTINGS)
    assert (round(share.sequential_low, 5), round(share.sequential_high, 5)) == (0.40098, 0.60675)


values = st.lists(st.floats(-1e4, 1e4, allow_subnormal=False), min_size=2, max_size=40)


@settings(deadline=None)
@given(values, values)
def test_the_difference_of_means_is_welchs_test(control: list[float], variant: list[float]) -> None:
    samples = [of_sums(math.fsum(x), math.fsum(v * v for v in x), len(x)) for x in (control, variant)]
    noise = 1e-7 * max(1.0, *(abs(value) for value in control + variant)) ** 2
    if min(sample.variance for sample in samples) <= noise:
        return  # sums of squares do not carry a variance this far under the mean's square
    ours = difference(samples[0], samples[1], SETTINGS)
    theirs = stats.ttest_ind(variant, control, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-5, abs=1e-9)
    scale = ours.standard_error * 1e-5
    assert (ours.ci_low, ours.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-5, abs=scale)


counts = st.integers(2, 5000).flatmap(lambda users: st.tuples(st.integers(1, users - 1), st.just(users)))


@settings(deadline=None)
@given(counts, counts)
def test_the_difference_of_proportions_is_the_unpooled_test(control: tuple[int, int], variant: tuple[int, int]) -> None:
    (x, n), (y, m) = control, variant
    p, q = x / n, y / m
    # scipy takes any deviation and divides its square by n: this one makes the variance of the mean p(1 - p)/n
    deviations = [math.sqrt(share * (1 - share)) for share in (q, p)]
    theirs = stats.ttest_ind_from_stats(q, deviations[0], m, p, deviations[1], n, equal_var=False)
    ours = difference(of_conversions(x, n), of_conversions(y, m), SETTINGS)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.estimate / ours.standard_error == pytest.approx(theirs.statistic, rel=1e-9)


def test_the_lifts_interval_covers_as_often_as_it_says() -> None:
    """The delta method against simulation: 4,000 experiments with a true lift of 25 %; 95 % within ±1 %."""
    generator = np.random.default_rng(3)
    controls, variants = generator.binomial(800, 0.20, 4000), generator.binomial(800, 0.25, 4000)
    effects = [
        relative_lift(of_conversions(int(x), 800), of_conversions(int(y), 800), SETTINGS)
        for x, y in zip(controls, variants, strict=True)
    ]
    covered = np.mean([effect.ci_low <= 0.25 <= effect.ci_high for effect in effects])
    assert 0.94 <= covered <= 0.96


def test_looking_after_every_user_alarms_too_often_with_the_fixed_test_and_not_with_the_sequential_one() -> None:
    """400 experiments without any effect, looked at 60 times each."""
    generator = np.random.default_rng(4)
    settings = Settings(sequential_users=2000)
    fixed = sequential = 0
    for _ in range(400):
        conversions = (generator.random((2, 6000)) < 0.3).cumsum(axis=1)[:, 99::100]
        looks = [
            difference(of_conversions(int(x), users), of_conversions(int(y), users), settings)
            for x, y, users in zip(*conversions, range(100, 6001, 100), strict=True)
        ]
        fixed += any(look.p_value < 0.05 for look in looks)
        sequential += any(look.sequential_p_value < 0.05 for look in looks)
    assert fixed / 400 > 0.20
    assert sequential / 400 < 0.05


@settings(deadline=None)
@given(counts, counts)
def test_p_values_and_intervals_agree_on_significance(control: tuple[int, int], variant: tuple[int, int]) -> None:
    effect = relative_lift(of_conversions(*control), of_conversions(*variant), SETTINGS)
    if abs(effect.p_value - 0.05) > 1e-9:
        assert (effect.p_value < 0.05) == (not effect.ci_low <= 0 <= effect.ci_high)
    if abs(effect.sequential_p_value - 0.05) > 1e-9:
        assert (effect.sequential_p_value < 0.05) == (not effect.sequential_low <= 0 <= effect.sequential_high)
    assert effect.sequential_p_value >= effect.p_value


def test_holms_correction_of_a_worked_example() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holms_adjusted_values_reject_what_the_stepwise_procedure_rejects(p_values: list[float]) -> None:
    rejected = set()
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        if p_values[position] * (len(p_values) - rank) >= 0.05:
            break
        rejected.add(position)
    assert {position for position, value in enumerate(holm(p_values)) if value < 0.05} == rejected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(50, 5000), st.floats(0.5, 2)), min_size=2, max_size=5))
def test_the_sample_ratio_is_the_chi_square_test(shares: list[tuple[int, float]]) -> None:
    users, weights = [list(column) for column in zip(*shares, strict=True)]
    expected = np.array(weights) / np.sum(weights) * np.sum(users)
    assert sample_ratio_p_value(users, weights) == pytest.approx(stats.chisquare(users, expected).pvalue, rel=1e-8)


def test_the_sample_ratio_is_not_tested_where_the_approximation_fails() -> None:
    assert sample_ratio_p_value([3, 4], [1, 1]) is None
    assert sample_ratio_p_value([100], [1]) is None
    assert sample_ratio_p_value([], []) is None
    assert sample_ratio_p_value([100, 100, 0], [1, 1, 0]) == 1.0
    assert sample_ratio_p_value([100, 100, 1], [1, 1, 0]) == 0.0
    assert sample_ratio_p_value([10**9, 10**9], [1e300, 1e300]) == 1.0


def test_results_hold_one_row_per_variant_with_the_control_first() -> None:
    rows = [arm("b", 1000, 150), arm("control", 1000, 100), arm("a", 1000, 104)]
    control, a, b = evaluate(rows)
    assert [row["variant"] for row in (control, a, b)] == ["control", "a", "b"]
    assert (control["lift"], control["reason"]) == (None, "This is the control.")
    assert (control["users"], control["conversions"], control["rate"]) == (1000, 100, 0.1)
    assert (b["lift"], b["difference"]) == (pytest.approx(0.5), pytest.approx(0.05))
    assert b["p_value_adjusted"] == pytest.approx(2 * b["p_value"])
    assert a["p_value_adjusted"] == a["p_value"]
    assert (a["is_significant"], b["is_significant"]) == (False, True)
    assert {row["srm_p_value"] for row in (control, a, b)} == {1.0}
    assert a["reason"] is None


def test_a_correction_over_variants_can_undo_significance() -> None:
    alone = evaluate([arm("control", 1000, 100), arm("a", 1000, 133)])[1]
    among = evaluate([arm("control", 1000, 100), arm("a", 1000, 133), arm("b", 1000, 100), arm("c", 1000, 101)])[1]
    assert alone["p_value"] == among["p_value"]
    assert (alone["is_significant"], among["is_significant"]) == (True, False)


def test_tenants_experiments_and_metrics_are_evaluated_apart() -> None:
    ours = [arm("control", 1000, 100), arm("a", 1000, 133)]
    others = [row | changes for row in ours for changes in ({"tenant_id": "z"}, {"experiment": "z"}, {"metric": "z"})]
    results = evaluate(others + ours)
    assert len(results) == 8
    assert len({row["p_value_adjusted"] for row in results if not row["is_control"]}) == 1


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [arm(f"v{index}", 500 + index, 50 + index, metric=metric) for index in range(5) for metric in ("m", "n")]
    rows += [arm("control", 510, 50, metric=metric) for metric in ("m", "n")]
    expected = repr(evaluate(rows))
    random.Random(1).shuffle(rows)
    assert repr(evaluate(rows)) == expected


def test_means_are_compared_by_their_sums() -> None:
    control, variant = evaluate([revenue("control", [0.0, 0.0, 10.0, 30.0]), revenue("a", [0.0, 20.0, 20.0, 40.0])])
    theirs = stats.ttest_ind([0, 20, 20, 40], [0, 0, 10, 30], equal_var=False)
    assert variant["difference_p_value"] == pytest.approx(theirs.pvalue)
    assert (control["mean_value"], control["rate"]) == (10.0, 0.5)
    assert (variant["mean_value"], variant["rate"], variant["lift"]) == (20.0, 0.75, 1.0)


def test_weights_decide_what_a_fair_split_is() -> None:
    rows = [arm("control", 9000, 900, weight=0.9), arm("a", 1000, 100, weight=0.1)]
    assert evaluate(rows)[0]["srm_p_value"] == 1.0
    assert evaluate([row | {"weight": None} for row in rows])[0]["srm_p_value"] == pytest.approx(0.0, abs=1e-100)
    assert evaluate([rows[0], rows[1] | {"weight": None}])[0]["srm_p_value"] is None


def test_multiple_exposures_are_passed_on() -> None:
    rows = [arm("control", 100, 10, multiple_exposures=7), arm("a", 100, 10, multiple_exposures=8)]
    assert [row["multiple_exposures"] for row in evaluate(rows)] == [7, 8]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([arm("control", 0, 0), arm("a", 100, 10)], "In the control: There are fewer than two users."),
        ([arm("control", 100, 10), arm("a", 1, 1)], "There are fewer than two users."),
        ([arm("control", 100, 0), arm("a", 100, 0)], "The values do not vary, so chance cannot be told from effect."),
        ([arm("control", 50, 50), arm("a", 50, 50)], "The values do not vary, so chance cannot be told from effect."),
        (
            [arm("control", 100, 0), arm("a", 100, 10)],
            "The control's mean is not above zero, so nothing can be said relative to it.",
        ),
        ([arm("control", 100, 10), arm("a", 100, 0)], "The values do not vary, so chance cannot be told from effect."),
        ([arm("a", 100, 10)], "The experiment has no control to compare with."),
        (
            [revenue("control", [0.1] * 1000), revenue("a", [0.1] * 900)],
            "The values do not vary, so chance cannot be told from effect.",
        ),
        (
            [revenue("control", [1.0, 2.0]), revenue("a", [1.0, 2.0]) | {"total_squares": 1.0}],
            "The sum of squares is too small for the sum.",
        ),
        (
            [revenue("control", [1.0, 2.0]), revenue("a", [1.0, 2.0]) | {"total": math.nan}],
            "The sums are too large, or not numbers.",
        ),
        (
            [revenue("control", [1e-300, 2e-300, 9e-300]), revenue("a", [1e200, 2e200])],
            "The sums are too large, or not numbers.",
        ),
        (
            [revenue("control", [1e-120, 2e-120, 9e-120]), revenue("a", [1e120, 2e120])],
            "The figures are too large or too small to compute with.",
        ),
    ],
)
def test_figures_that_allow_no_test_give_null_and_the_reason(rows: list[dict[str, Any]], reason: str) -> None:
    result = evaluate(rows)[-1]
    assert result["reason"] == reason
    missing = ("lift", "lift_ci_low", "lift_ci_high", "p_value", "p_value_adjusted", "is_significant")
    assert [result[column] for column in missing] == [None] * 6


def test_a_control_without_conversions_still_gives_the_absolute_difference() -> None:
    result = evaluate([arm("control", 100, 0), arm("a", 100, 10)])[1]
    assert (result["lift"], result["difference"]) == (None, 0.1)
    assert result["difference_p_value"] < 0.01


any_arm = st.builds(
    lambda variant, users, share, total, squares, weight: arm(
        variant, users, int(users * share), total=total, total_squares=squares, weight=weight
    ),
    st.sampled_from(["control", "a", "b", "c"]),
    st.one_of(st.integers(0, 5), st.integers(0, 10**9)),
    st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)),
    st.floats(),
    st.floats(),
    st.one_of(st.none(), st.floats(0, 1e300)),
)


@settings(deadline=None)
@given(st.lists(any_arm, max_size=4, unique_by=lambda row: row["variant"]))
def test_no_figures_whatever_give_nan_infinity_or_an_exception(rows: list[dict[str, Any]]) -> None:
    for kind in ("mean", "proportion"):
        for row in evaluate([row | {"kind": kind} for row in rows]):
            assert all(math.isfinite(value) for value in row.values() if isinstance(value, float)), row
            assert (row["lift"] is None) == (row["reason"] is not None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conversions": 101}, "between 0 and users"),
        ({"kind": "median"}, "proportion or mean"),
        ({"kind": "mean"}, "total and total_squares"),
        ({"weight": -1.0}, "0 or more"),
        ({"is_control": True}, "several controls"),
    ],
)
def test_a_row_that_contradicts_itself_is_rejected_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ParleyError, match=words):
        evaluate([arm("control", 100, 10), arm("a", 100, 10) | changes])


def test_settings_that_make_no_sense_are_rejected() -> None:
    with pytest.raises(ParleyError, match="alpha"):
        Settings(alpha=1.5)
    with pytest.raises(ParleyError, match="sequential_users"):
        Settings(sequential_users=0)


def test_the_test_of_one_user_is_untestable() -> None:
    with pytest.raises(Untestable):
        of_sums(5.0, 25.0, 1)
