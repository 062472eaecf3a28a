"""Tests of predictions: the paper's CDNOW figures, other ways to the same numbers, and tenants that support none."""

import csv
import gzip
import json
import math
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special

from parley.analytics.predictions import (
    PREDICTIONS,
    Array,
    BgNbd,
    Customers,
    GammaGamma,
    Settings,
    Unfittable,
    _bg_nbd_likelihood,
    _gamma_gamma_likelihood,
    _purchases_while_alive,
    fit_and_predict,
)
from parley.errors import ParleyError

DATA = Path(__file__).parents[3] / "shared" / "data"
AS_OF = datetime(1997, 10, 1, tzinfo=UTC)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def cdnow() -> list[Row]:
    """The summary of the CDNOW sample at the end of the paper's calibration period."""
    file = DATA / "cdnow_sample.csv.gz"
    if not file.exists():
        pytest.skip("the CDNOW sample is not here: ../shared/data/cdnow_sample.csv.gz")
    end = date(1997, 9, 30)
    spent: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    with gzip.open(file, "rt") as lines:
        for line in csv.DictReader(lines):
            if (day := date.fromisoformat(line["date"])) <= end:
                spent[line["customer_id"]][day] += float(line["dollar_value"])
    return [summarise(customer, values, end) for customer, values in spent.items()]


def summarise(customer: str, values: dict[date, float], end: date) -> Row:
    first, *repeats = sorted(values)
    return {
        "tenant_id": "cdnow",
        "user_id": customer,
        "frequency": len(repeats),
        "recency_days": (max(values) - first).days,
        "age_days": (end - first).days,
        "repeat_value": sum(values[day] for day in repeats) / len(repeats) if repeats else None,
        "revenue": sum(values.values()),
    }


@pytest.fixture(scope="module")
def reference() -> Row:
    file = DATA / "reference" / "cdnow.json"
    if not file.exists():
        pytest.skip("the CDNOW figures are not here: ../shared/data/reference/cdnow.json")
    figures: Row = json.loads(file.read_text())["sample_dev"]
    return figures


def histories(rows: list[Row]) -> Customers:
    x, t_x, age = (np.array([row[name] for row in rows], float) for name in ("frequency", "recency_days", "age_days"))
    return Customers(x, t_x / 7, age / 7)


def simulated(customers: int, seed: int = 5) -> list[Row]:
    """Customers who behave as the models say, with r 0.4, alpha 5, a 0.8, b 2.5, p 6, q 4, v 15."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        age, rate, leaving = generator.integers(0, 400), generator.gamma(0.4, 1 / 5) / 7, generator.beta(0.8, 2.5)
        days, clock = [0.0], generator.exponential(1 / rate)
        while clock < age:
            days.append(clock)
            clock = math.inf if generator.random() < leaving else clock + generator.exponential(1 / rate)
        values = generator.gamma(6, 1 / generator.gamma(4, 1 / 15), len(days))
        rows.append(
            {
                "tenant_id": "made-up",
                "user_id": f"u{number:06}",
                "frequency": len(days) - 1,
                "recency_days": days[-1],
                "age_days": float(age),
                "repeat_value": float(values[1:].mean()) if len(days) > 1 else None,
                "revenue": float(values.sum()),
            }
        )
    return rows


def test_bg_nbd_on_cdnow_is_the_papers(cdnow: list[Row], reference: Row) -> None:
    model = BgNbd.fit(histories(cdnow))
    assert [round(value, 3) for value in (model.r, model.alpha, model.a, model.b)] == [0.243, 4.414, 0.793, 2.426]
    expected = reference["bgnbd"]
    assert model.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-4)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(model, name) == pytest.approx(expected[name], abs=2e-6)


def test_gamma_gamma_on_cdnow_is_the_references(cdnow: list[Row], reference: Row) -> None:
    repeaters = [row for row in cdnow if row["frequency"]]
    x, value = (np.array([row[name] for row in repeaters], float) for name in ("frequency", "repeat_value"))
    model = GammaGamma.fit(x, value)
    expected = reference["gamma_gamma"]
    assert len(repeaters) == expected["customers_used"]
    assert model.log_likelihood == pytest.approx(expected["log_likelihood"], abs=1e-4)
    for name in ("p", "q", "v"):
        assert getattr(model, name) == pytest.approx(expected[name], abs=2e-5)


def test_predictions_on_cdnow_are_the_references(cdnow: list[Row], reference: Row) -> None:
    customers = histories(cdnow)
    model = BgNbd.fit(customers)
    alive, future = model.probability_alive(customers), model.expected_purchases(customers, 39)
    assert model.expected_repeats(customers.age).sum() == pytest.approx(
        reference["expected_repeats_calibration"], abs=1e-3
    )
    assert future.sum() == pytest.approx(reference["predicted_repeats_next_39_weeks"], abs=1e-3)
    assert alive.mean() == pytest.approx(reference["mean_p_alive_1997_09_30"], abs=1e-5)
    index = {row["user_id"]: position for position, row in enumerate(cdnow)}
    for customer, example in reference["examples_conditional_expected_39w"].items():
        assert future[index[customer]] == pytest.approx(example["expected_next_39w"], abs=1e-4)
        assert alive[index[customer]] == pytest.approx(example["p_alive"], abs=1e-4)


def test_the_table_on_cdnow_adds_up(cdnow: list[Row]) -> None:
    table = fit_and_predict(cdnow, AS_OF, Settings(lifetime_days=90))
    assert table.schema == PREDICTIONS
    assert table.num_rows == 2357
    for row in table.to_pylist():
        assert row["reason"] is None
        assert row["probability_alive"] + row["churn_probability"] == pytest.approx(1)
        assert row["expected_revenue_90d"] == pytest.approx(row["expected_orders_90d"] * row["expected_order_value"])
        gain = row["predicted_lifetime_value"] - row["lifetime_value_to_date"]
        assert gain == pytest.approx(row["expected_revenue_90d"], abs=1e-6)
    assert table["model"][0].as_py() == (
        "BG/NBD(r=0.242595, alpha=4.4136 weeks, a=0.792922, b=2.42591), Gamma-Gamma(p=6.24957, q=3.74422, v=15.4435)"
    )


def while_alive(r: float, alpha: float, a: float, b: float, weeks: float) -> float:
    return float(_purchases_while_alive(np.array([r]), np.array([alpha]), a, np.array([b]), weeks)[0])


def integral(r: float, alpha: float, a: float, b: float, weeks: float) -> float:
    """The definition: E over p ~ Beta(a, b) of (1 - (1 + p t / alpha)^-r) / p, by quadrature over the logit of p."""

    def density_times_purchases(logit: float) -> float:
        p, log_p, log_q = special.expit(logit), special.log_expit(logit), special.log_expit(-logit)
        density = math.exp(a * log_p + b * log_q - special.betaln(a, b))
        return float(density * -math.expm1(-r * math.log1p(p * weeks / alpha)) / p)

    peak = math.log(a / b)
    pieces = [peak - 45 / min(a, 1), peak - 5, peak, peak + 5, peak + 45 / min(b, 1)]
    quadratures = (integrate.quad(density_times_purchases, *ends, epsrel=1e-11, limit=500) for ends in pairwise(pieces))
    return math.fsum(value for value, _ in quadratures)


shape = st.floats(0.1, 20)


@settings(max_examples=50, deadline=None)
@given(shape, st.floats(1, 100), shape, shape, st.floats(0.1, 100))
def test_expected_purchases_are_the_integral_of_their_definition(
    r: float, alpha: float, a: float, b: float, weeks: float
) -> None:
    assert while_alive(r, alpha, a, b, weeks) == pytest.approx(integral(r, alpha, a, b, weeks), rel=1e-8)


@pytest.mark.parametrize(
    "history",
    [
        (0.24, 4.4, 0.79, 2.4, 39.0),  # a one-time buyer
        (7.24, 43.0, 0.79, 9.4, 39.0),
        (0.3, 4.0, 0.3, 0.5, 13.0),  # a + b < 1: c is negative
        (76.0, 7.0, 0.8, 1.9, 13.0),  # rates that hardly differ
        (300.2, 100.0, 0.5, 300.0, 13.0),
        (0.5, 5.0, 50.0, 80.0, 13.0),
        (0.5, 5.0, 0.001, 4.0, 13.0),  # nobody leaves
        (3.0, 0.2, 1.5, 2.0, 52.0),
    ],
)
def test_expected_purchases_are_the_papers_hypergeometric_form(history: tuple[float, ...]) -> None:
    r, alpha, a, b, weeks = history
    c, z = a + b - 1, weeks / (alpha + weeks)
    paper = c / (a - 1) * (1 - (1 - z) ** r * special.hyp2f1(r, b, c, z))
    assert while_alive(*history) == pytest.approx(paper, rel=1e-10)


def test_expected_purchases_are_smooth_where_the_papers_form_is_singular() -> None:
    """At a = 1 and at a + b = 1, where it divides by zero; far past where its powers overflow; in no time at all."""
    below, at, above = (while_alive(1.2, 3.0, a, 2.0, 13.0) for a in (1 - 1e-7, 1.0, 1 + 1e-7))
    assert at == pytest.approx((below + above) / 2, rel=1e-12)
    below, at, above = (while_alive(0.3, 4.0, 0.25, b, 13.0) for b in (0.75 - 1e-7, 0.75, 0.75 + 1e-7))
    assert at == pytest.approx((below + above) / 2, rel=1e-12)
    assert while_alive(5000.0, 500.0, 0.001, 5000.0, 100.0) == pytest.approx(1000, rel=1e-3)
    assert while_alive(0.3, 4.0, 0.8, 2.5, 0.0) == 0.0


def test_expected_purchases_are_what_simulated_customers_buy() -> None:
    """200,000 customers like one with x 3, t_x 20, T 25, simulated by the model's story for 20 more weeks."""
    generator = np.random.default_rng(6)
    model = BgNbd(r=0.5, alpha=4.0, a=0.9, b=2.0, log_likelihood=0.0)
    one = Customers(np.array([3.0]), np.array([20.0]), np.array([25.0]))
    (alive,) = model.probability_alive(one)
    rates = generator.gamma(3.5, 1 / 29.0, 200_000)
    leaving = generator.beta(0.9, 5.0, 200_000)
    purchases, here = np.zeros(200_000), generator.random(200_000) < alive
    clock = generator.exponential(1 / rates)
    while (here := here & (clock < 20)).any():
        purchases += here
        here &= generator.random(200_000) >= leaving
        clock += generator.exponential(1 / rates)
    (expected,) = model.expected_purchases(one, 20)
    assert purchases.mean() == pytest.approx(expected, abs=4 * purchases.std() / math.sqrt(200_000))


def test_a_customer_long_silent_is_less_likely_alive_and_a_one_time_buyer_never_counts_as_gone() -> None:
    model = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=0.0)
    customers = Customers(np.array([4.0, 4.0, 4.0, 0.0]), np.array([38.0, 20.0, 5.0, 0.0]), np.full(4, 39.0))
    recent, silent, gone, single = model.probability_alive(customers)
    assert 1 > recent > silent > gone > 0
    assert single == 1


def bg_nbd_case() -> tuple[Callable[[Array], tuple[float, Array]], Array]:
    customers = histories(simulated(60))
    return lambda parameters: _bg_nbd_likelihood(parameters, customers), np.array([0.3, 4.0, 0.7, 2.0])


def gamma_gamma_case() -> tuple[Callable[[Array], tuple[float, Array]], Array]:
    x, value = np.array([1.0, 2.0, 7.0]), np.array([20.0, 35.0, 11.0])
    return lambda parameters: _gamma_gamma_likelihood(parameters, x, value), np.array([6.0, 4.0, 15.0])


@pytest.mark.parametrize("case", [bg_nbd_case, gamma_gamma_case])
def test_gradients_are_the_slopes_of_the_likelihoods(
    case: Callable[[], tuple[Callable[[Array], tuple[float, Array]], Array]],
) -> None:
    likelihood, parameters = case()
    slopes = optimize.approx_fprime(parameters, lambda point: likelihood(point)[0], 1e-6)
    assert likelihood(parameters)[1] == pytest.approx(slopes, rel=1e-4)


def test_the_likelihood_of_one_customer_is_the_papers_equation() -> None:
    r, alpha, a, b = 0.243, 4.414, 0.793, 2.426
    x, t_x, age = 2, 30.4286, 38.8571
    gamma, beta = math.gamma, special.beta
    paper = beta(a, b + x) / beta(a, b) * gamma(r + x) * alpha**r / gamma(r) / (alpha + age) ** (r + x)
    paper += beta(a + 1, b + x - 1) / beta(a, b) * gamma(r + x) * alpha**r / gamma(r) / (alpha + t_x) ** (r + x)
    one = Customers(np.array([float(x)]), np.array([t_x]), np.array([age]))
    assert _bg_nbd_likelihood(np.array([r, alpha, a, b]), one)[0] == pytest.approx(math.log(paper), rel=1e-12)


def test_a_fit_finds_the_parameters_that_customers_were_made_with() -> None:
    rows = simulated(20_000)
    model = BgNbd.fit(histories(rows))
    assert model.r == pytest.approx(0.4, rel=0.1)
    assert model.alpha == pytest.approx(5, rel=0.15)
    assert model.a / (model.a + model.b) == pytest.approx(0.8 / 3.3, rel=0.1)
    repeaters = [row for row in rows if row["frequency"]]
    x, value = (np.array([row[name] for row in repeaters], float) for name in ("frequency", "repeat_value"))
    spend = GammaGamma.fit(x, value)
    assert spend.expected_value(np.array([0.0]), np.array([0.0]))[0] == pytest.approx(6 * 15 / 3, rel=0.05)


def test_expected_order_values_lie_between_a_customers_own_mean_and_everyones() -> None:
    model = GammaGamma(p=6.25, q=3.74, v=15.44, log_likelihood=0.0)
    everyone, once, often = model.expected_value(np.array([0.0, 1.0, 50.0]), np.array([0.0, 100.0, 100.0]))
    assert everyone == pytest.approx(6.25 * 15.44 / 2.74)
    assert everyone < once < often < 100


def test_customers_who_never_leave_are_still_predicted() -> None:
    """The limit of the model where a goes to 0: the search ends on its bound, and everyone is alive."""
    generator = np.random.default_rng(7)
    rates = generator.gamma(2, 1 / 10, 2000)
    clock, x, t_x = np.zeros(2000), np.zeros(2000), np.zeros(2000)
    while ((clock := clock + generator.exponential(1 / rates)) < 52).any():
        x += clock < 52
        t_x = np.where(clock < 52, clock, t_x)
    customers = Customers(x, t_x, np.full(2000, 52.0))
    model = BgNbd.fit(customers)
    assert model.probability_alive(customers).min() > 0.99
    assert model.expected_purchases(customers, 52).sum() == pytest.approx(x.sum(), rel=0.05)


def test_equal_input_gives_equal_bytes_in_any_order() -> None:
    rows = simulated(400)
    once, again = (fit_and_predict(given, AS_OF) for given in (rows, list(reversed(rows))))
    assert once.to_pylist() == again.to_pylist()
    assert once["user_id"].to_pylist() == sorted(row["user_id"] for row in rows)
    assert once["fitted_at"].unique().to_pylist() == [AS_OF]


def test_each_tenant_has_models_of_its_own() -> None:
    rows = simulated(400)
    others = [row | {"tenant_id": "other"} for row in simulated(300, seed=8)]
    together = fit_and_predict(rows + others, AS_OF).to_pylist()
    apart = fit_and_predict(rows, AS_OF).to_pylist() + fit_and_predict(others, AS_OF).to_pylist()
    assert together == apart
    assert len({row["model"] for row in together}) == 2


def test_tables_and_rows_give_the_same() -> None:
    rows = simulated(400)
    assert fit_and_predict(pa.Table.from_pylist(rows), AS_OF).equals(fit_and_predict(rows, AS_OF))


def test_no_customers_give_no_rows() -> None:
    assert fit_and_predict([], AS_OF).equals(PREDICTIONS.empty_table())


PREDICTED = (
    "probability_alive",
    "churn_probability",
    "expected_orders_90d",
    "expected_order_value",
    "expected_revenue_90d",
    "predicted_lifetime_value",
)


def test_too_few_repeat_customers_give_null_and_a_reason() -> None:
    rows = fit_and_predict(simulated(60), AS_OF).to_pylist()
    repeaters = sum(row["frequency"] > 0 for row in simulated(60))
    for row in rows:
        assert [row[name] for name in PREDICTED] == [None] * len(PREDICTED)
        assert row["model"] is None
        assert row["reason"] == f"Only {repeaters} customers have bought again; 50 are needed for a model."
        assert row["lifetime_value_to_date"] > 0


def test_a_lower_threshold_lets_a_small_tenant_be_predicted() -> None:
    rows = fit_and_predict(simulated(60), AS_OF, Settings(min_repeat_customers=10)).to_pylist()
    assert {row["reason"] for row in rows} == {None}


def heavy_tailed(customers: int) -> Array:
    """Order values of Gamma-Gamma with q 0.6, which have no finite mean."""
    generator = np.random.default_rng(9)
    return generator.gamma(4, 1 / generator.gamma(0.6, 1, customers))


def test_order_values_without_a_model_leave_the_orders_predicted() -> None:
    rows = [
        row | {"repeat_value": value if row["frequency"] else None}
        for row, value in zip(simulated(400), heavy_tailed(400).tolist(), strict=True)
    ]
    for row in fit_and_predict(rows, AS_OF).to_pylist():
        assert row["expected_orders_90d"] > 0
        assert (row["expected_order_value"], row["predicted_lifetime_value"]) == (None, None)
        assert row["reason"] == "The order values vary too widely for their mean to be estimated."


def test_a_shop_with_one_price_is_predicted_at_that_price() -> None:
    """Gamma-Gamma's likelihood has no highest point then: the search ends on its bound, at the limit of the model."""
    for x in (np.full(500, 2.0), np.arange(1.0, 501.0)):
        model = GammaGamma.fit(x, np.full(500, 10.0))
        assert model.expected_value(np.array([0.0, 3.0]), np.array([0.0, 10.0])) == pytest.approx([10, 10], rel=1e-3)


def test_values_without_a_finite_mean_are_not_fitted() -> None:
    with pytest.raises(Unfittable, match="vary too widely"):
        GammaGamma.fit(np.ones(2000), heavy_tailed(2000))


def test_a_customer_whose_repeat_orders_were_free_has_no_expected_revenue() -> None:
    rows = simulated(400)
    free = next(row for row in rows if row["frequency"])
    free["repeat_value"] = 0.0
    results = {row["user_id"]: row for row in fit_and_predict(rows, AS_OF).to_pylist()}
    result = results.pop(free["user_id"])
    assert result["expected_orders_90d"] > 0
    assert (result["expected_revenue_90d"], result["predicted_lifetime_value"]) == (None, None)
    assert result["reason"] == "The repeat orders of this customer have no positive value."
    assert {row["reason"] for row in results.values()} == {None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frequency": -1}, "before the first one or after as_of"),
        ({"recency_days": 500.0, "age_days": 400.0}, "before the first one or after as_of"),
        ({"frequency": 0, "recency_days": 5.0, "age_days": 9.0}, "before the first one or after as_of"),
        ({"revenue": None}, "no revenue in some rows"),
        ({"user_id": None}, "no user_id in some rows"),
    ],
)
def test_a_summary_that_contradicts_itself_is_rejected_in_one_sentence(changes: Row, words: str) -> None:
    rows = simulated(3)
    with pytest.raises(ParleyError, match=words):
        fit_and_predict([rows[0] | changes, *rows[1:]], AS_OF)


def test_a_summary_without_a_column_and_a_time_without_a_zone_are_rejected() -> None:
    table = pa.Table.from_pylist(simulated(3))
    with pytest.raises(ParleyError, match="lacks revenue"):
        fit_and_predict(table.drop_columns(["revenue"]), AS_OF)
    with pytest.raises(ParleyError, match="time zone"):
        fit_and_predict(table, datetime(1997, 10, 1))


def test_settings_that_make_no_sense_are_rejected() -> None:
    with pytest.raises(ParleyError, match="min_repeat_customers"):
        Settings(min_repeat_customers=1)
    with pytest.raises(ParleyError, match="lifetime_days"):
        Settings(lifetime_days=0)
