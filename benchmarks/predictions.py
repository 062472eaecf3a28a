"""How long fit and predictions of one tenant take, beside the paper's own formula: `python benchmarks/predictions.py`.

Customers are drawn as the models say, with CDNOW-like parameters. Prints one JSON line per size.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import special

from parley.analytics.predictions import BgNbd, Customers, GammaGamma, fit_and_predict

DAYS_OBSERVED = 730
WEEKS_AHEAD = 90 / 7


def drawn(customers: int) -> pa.Table:
    """A purchase summary: r 0.25, alpha 4.5 weeks, a 0.8, b 2.4; p 6.25, q 3.75, v 15.5."""
    generator = np.random.default_rng(1)
    age = generator.integers(0, DAYS_OBSERVED, customers) / 7
    rate, leaving = generator.gamma(0.25, 1 / 4.5, customers), generator.beta(0.8, 2.4, customers)
    x, t_x = np.zeros(customers), np.zeros(customers)
    clock, here = generator.exponential(1 / rate), np.ones(customers, bool)
    while (here := here & (clock < age)).any():
        x, t_x = x + here, np.where(here, clock, t_x)
        here &= generator.random(customers) >= leaving
        clock += generator.exponential(1 / rate)
    mean_value = generator.gamma(
        6.25 * np.maximum(x, 1), 1 / (np.maximum(x, 1) * generator.gamma(3.75, 1 / 15.5, customers))
    )
    return pa.table(
        {
            "tenant_id": ["one"] * customers,
            "user_id": [f"u{number:08}" for number in range(customers)],
            "frequency": x.astype(int),
            "recency_days": t_x * 7,
            "age_days": age * 7,
            "repeat_value": pa.array(mean_value, mask=x == 0),
            "revenue": mean_value * (x + 1),
        }
    )


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return round(time.perf_counter() - start, 3), result


def papers_expected_purchases(model: BgNbd, customers: Customers) -> Any:
    """The paper's form as printed, by scipy's hypergeometric function."""
    x, c = customers.frequency, model.a + model.b + customers.frequency - 1
    z = WEEKS_AHEAD / (model.alpha + customers.age + WEEKS_AHEAD)
    power = (1 - z) ** (model.r + x) * special.hyp2f1(model.r + x, model.b + x, c, z)
    return c / (model.a - 1) * (1 - power) * model.probability_alive(customers)


def measure(size: int) -> dict[str, Any]:
    table = drawn(size)
    x, t_x, age, value = (
        table[name].to_numpy().astype(float) for name in ("frequency", "recency_days", "age_days", "repeat_value")
    )
    customers, repeated = Customers(x, t_x / 7, age / 7), x > 0
    fit_seconds, model = seconds(lambda: BgNbd.fit(customers))
    spend_seconds, _ = seconds(lambda: GammaGamma.fit(x[repeated], value[repeated]))
    ours_seconds, ours = seconds(lambda: model.expected_purchases(customers, WEEKS_AHEAD))
    paper_seconds, papers = seconds(lambda: papers_expected_purchases(model, customers))
    whole_seconds, _ = seconds(lambda: fit_and_predict(table, datetime(2026, 1, 1, tzinfo=UTC)))
    return {
        "customers": size,
        "repeaters": int(repeated.sum()),
        "bg_nbd_fit_seconds": fit_seconds,
        "gamma_gamma_fit_seconds": spend_seconds,
        "expected_purchases_seconds": ours_seconds,
        "papers_form_seconds": paper_seconds,
        "papers_form_ratio": round(paper_seconds / ours_seconds, 2),
        "largest_relative_difference": float(np.nanmax(np.abs(papers / ours - 1))),
        "papers_form_not_finite": int((~np.isfinite(papers)).sum()),
        "fit_and_predict_seconds": whole_seconds,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000, 10_000, 100_000], help="numbers of customers")
    for number_of_customers in parser.parse_args().sizes:
        print(json.dumps(measure(number_of_customers)), flush=True)
