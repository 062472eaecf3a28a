"""What each customer is likely to do next: BG/NBD for how often they order, Gamma-Gamma for how much.

Both are fitted per tenant by maximum likelihood on one row per customer. Time is in days at the edges, in weeks inside.
`docs/decisions/predictions.md` says which formulas and why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import optimize, special

from parley.errors import ParleyError

Array = NDArray[np.float64]
DAYS_PER_WEEK = 7.0
ORDER_DAYS = 90
RESTARTS = 5  # a search that stops in a narrow valley goes on from there with a fresh memory
SETTLED = 1e-6  # largest slope of the mean log-likelihood, by a parameter's logarithm, of a fit that counts

_summary: dict[str, pa.DataType] = {
    "tenant_id": pa.string(),
    "user_id": pa.string(),
    "frequency": pa.int64(),  # x: days with an order after the first such day
    "recency_days": pa.float64(),  # t_x: from the first day with an order to the last
    "age_days": pa.float64(),  # T: from the first day with an order to `as_of`
    "repeat_value": pa.float64(),  # mean revenue of the x repeat days; null where x is 0
    "revenue": pa.float64(),  # all revenue to date
}
_predictions: dict[str, pa.DataType] = {
    "tenant_id": pa.string(),
    "user_id": pa.string(),
    "probability_alive": pa.float64(),
    "churn_probability": pa.float64(),
    "expected_orders_90d": pa.float64(),
    "expected_order_value": pa.float64(),
    "expected_revenue_90d": pa.float64(),
    "lifetime_value_to_date": pa.float64(),
    "predicted_lifetime_value": pa.float64(),
    "model": pa.string(),
    "fitted_at": pa.timestamp("us", tz="UTC"),
    "reason": pa.string(),
}
SUMMARY, PREDICTIONS = pa.schema(_summary), pa.schema(_predictions)


class Unfittable(Exception):
    """The purchases do not support the model. The message is the sentence that a reader of the table sees."""


@dataclass(frozen=True)
class Settings:
    """From how many repeat customers on a tenant is fitted, and how many days ahead the lifetime value looks."""

    min_repeat_customers: int = 50
    lifetime_days: int = 365

    def __post_init__(self) -> None:
        if self.min_repeat_customers < 2:
            raise ParleyError(f"min_repeat_customers is {self.min_repeat_customers}: set it to 2 or more.")
        if self.lifetime_days < 1:
            raise ParleyError(f"lifetime_days is {self.lifetime_days}: set it to 1 or more.")


@dataclass(frozen=True)
class Customers:
    """Purchase histories: x repeat purchases, the last of them t_x weeks after the first purchase, T weeks observed."""

    frequency: Array
    recency: Array
    age: Array

    def __len__(self) -> int:
        return len(self.frequency)


@dataclass(frozen=True)
class BgNbd:
    """The BG/NBD model: Fader, Hardie, Lee: "Counting Your Customers" the Easy Way, Marketing Science 24 (2005).

    A customer buys at a rate drawn from Gamma(r, alpha) per week, and after each repeat purchase is gone for good with
    a probability drawn from Beta(a, b).
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    @classmethod
    def fit(cls, customers: Customers) -> "BgNbd":
        """Maximum likelihood. Raises Unfittable where the purchases do not determine the parameters."""
        rate = customers.frequency.sum() / customers.age.sum()
        parameters, log_likelihood = _maximise(
            "orders",
            lambda parameters: _bg_nbd_likelihood(parameters, customers),
            start=np.array([1.0, 1.0 / rate, 1.0, 1.0]),
            lowest=np.array([1e-6, 0.01, 1e-6, 1e-6]),  # an alpha of under two hours would be read into days
            highest=np.array([1e4, 1e6, 1e4, 1e4]),
            observations=len(customers),
        )
        r, alpha, a, b = parameters
        return cls(r, alpha, a, b, log_likelihood)

    def __str__(self) -> str:
        return f"BG/NBD(r={self.r:.6g}, alpha={self.alpha:.6g} weeks, a={self.a:.6g}, b={self.b:.6g})"

    def probability_alive(self, customers: Customers) -> Array:
        """The probability of not being gone, per customer. 1 without a repeat purchase: one leaves only after such."""
        return np.asarray(special.expit(-_log_odds_gone(self.r, self.alpha, self.a, self.b, customers)))

    def expected_purchases(self, customers: Customers, weeks: float) -> Array:
        """How many purchases to expect of each customer in the coming weeks."""
        while_alive = _purchases_while_alive(
            self.r + customers.frequency, self.alpha + customers.age, self.a, self.b + customers.frequency, weeks
        )
        return while_alive * self.probability_alive(customers)

    def expected_repeats(self, weeks: Array) -> Array:
        """How many repeat purchases to expect of a new customer in the weeks after the first purchase."""
        new = np.zeros_like(weeks)
        return _purchases_while_alive(self.r + new, self.alpha + new, self.a, self.b + new, weeks)


@dataclass(frozen=True)
class GammaGamma:
    """The Gamma-Gamma model of spend: Fader, Hardie: The Gamma-Gamma Model of Monetary Value (2013), brucehardie.com.

    The value of a purchase is Gamma(p, ν), and ν is drawn from Gamma(q, v) per customer, independently of how often
    they buy.
    """

    p: float
    q: float
    v: float
    log_likelihood: float

    @classmethod
    def fit(cls, frequency: Array, mean_value: Array) -> "GammaGamma":
        """Maximum likelihood over customers with x > 0 purchases of mean value z > 0.

        Raises Unfittable where the values do not determine the parameters, or have no finite mean (q <= 1).
        """
        scale = np.array([1.0, 1.0, mean_value.mean()])
        parameters, log_likelihood = _maximise(
            "order values",
            lambda parameters: _gamma_gamma_likelihood(parameters, frequency, mean_value),
            start=scale * [1, 2, 1],
            lowest=scale * 1e-6,
            highest=scale * 1e4,
            observations=len(frequency),
        )
        p, q, v = parameters
        if q <= 1:
            raise Unfittable("The order values vary too widely for their mean to be estimated.")
        return cls(p, q, v, log_likelihood)

    def __str__(self) -> str:
        return f"Gamma-Gamma(p={self.p:.6g}, q={self.q:.6g}, v={self.v:.6g})"

    def expected_value(self, frequency: Array, mean_value: Array) -> Array:
        """The expected value of a customer's next purchase: of anyone's where x is 0."""
        total = frequency * np.where(frequency > 0, mean_value, 0.0)
        return np.asarray(self.p * (self.v + total) / (self.p * frequency + self.q - 1))


def _purchases_while_alive(r: Array, alpha: Array, a: float, b: Array, weeks: float | Array) -> Array:
    """E[(1 - exp(-λ p t)) / p] over λ ~ Gamma(r, alpha) and p ~ Beta(a, b): purchases in t weeks before one is gone.

    With z = t / (alpha + t), the paper writes

        (a + b - 1) / (a - 1) · [1 - (1 - z)^r · F(r, b; a + b - 1; z)],        F Gauss's hypergeometric function,

    which divides 0 by 0 at a = 1, has a pole at a + b = 1, and under- and overflows for heavy buyers. It equals

        Σ_k P(K = k) · Σ_{j<k} E[(1 - p)^j]        K ~ NegativeBinomial(r, z), E[(1 - p)^j] = (b)_j / (a + b)_j:

    of the K purchases of one who never leaves, how many happen before the leaving. No term is negative, none singular.
    """
    result: Array = np.zeros(len(alpha))
    index: NDArray[np.intp] = np.arange(len(alpha))
    z = weeks / (alpha + weeks)
    with np.errstate(divide="ignore"):  # in no time z is 0
        log_z = np.log(z)
    log_chance = r * np.log1p(-z)
    purchases: Array = np.zeros(len(alpha))
    stays: Array = np.ones(len(alpha))
    total: Array = np.zeros(len(alpha))
    k = 0
    while len(index):
        log_chance = log_chance + np.log((r + k) / (k + 1)) + log_z
        purchases = purchases + stays
        stays = stays * (b + k) / (a + b + k)
        k += 1
        term = np.exp(log_chance) * purchases
        total = total + term
        # no later term is more than `shrink` times the one before it, so the rest is at most a geometric series
        shrink = np.maximum((r + k) / (k + 1), 1) * z * (k + 1) / k
        done = (shrink < 1) & (term * shrink <= 1e-13 * total * (1 - shrink))
        if done.any():
            result[index[done]] = total[done]
            index = index[~done]
            r, b, z, log_z, log_chance, purchases, stays, total = (
                array[~done] for array in (r, b, z, log_z, log_chance, purchases, stays, total)
            )
    return result


def _log_odds_gone(r: float, alpha: float, a: float, b: float, customers: Customers) -> Array:
    """The logarithm of P(gone after the last purchase) / P(alive), given the history; -inf where x is 0."""
    x, t_x, age = customers.frequency, customers.recency, customers.age
    repeated = x > 0
    with np.errstate(divide="ignore"):
        log_drop_out = np.log(np.where(repeated, a, 0.0)) - np.log(np.where(repeated, b + x - 1, 1.0))
    return np.asarray(log_drop_out + (r + x) * (np.log(alpha + age) - np.log(alpha + t_x)))


def _bg_nbd_likelihood(parameters: Array, customers: Customers) -> tuple[float, Array]:
    """The log-likelihood and its gradient by (r, alpha, a, b)."""
    r, alpha, a, b = parameters
    x, t_x, age = customers.frequency, customers.recency, customers.age
    log_odds = _log_odds_gone(r, alpha, a, b, customers)
    gone, alive = special.expit(log_odds), special.expit(-log_odds)
    log_rest = np.log(alpha) - np.log(alpha + age)
    value = (
        special.gammaln(r + x) - special.gammaln(r) + r * log_rest - x * np.log(alpha + age)
        + special.betaln(a, b + x) - special.betaln(a, b)
        + np.logaddexp(0, log_odds)
    )  # fmt: skip
    digamma_all = special.digamma(a + b) - special.digamma(a + b + x)
    gradient = [
        special.digamma(r + x) - special.digamma(r) + log_rest + gone * np.log((alpha + age) / (alpha + t_x)),
        r / alpha - (r + x) * (alive / (alpha + age) + gone / (alpha + t_x)),
        digamma_all + gone / a,
        digamma_all + special.digamma(b + x) - special.digamma(b) - gone / np.where(x > 0, b + x - 1, 1.0),
    ]
    return float(value.sum()), np.array([part.sum() for part in gradient])


def _gamma_gamma_likelihood(parameters: Array, frequency: Array, mean_value: Array) -> tuple[float, Array]:
    """The log-likelihood and its gradient by (p, q, v)."""
    p, q, v = parameters
    x, total = frequency, v + frequency * mean_value
    log_share, log_rest = np.log(x * mean_value / total), np.log(v / total)
    value = p * x * log_share + q * log_rest - special.betaln(p * x, q) - np.log(mean_value)
    digamma_all = special.digamma(p * x + q)
    gradient = [
        x * (digamma_all - special.digamma(p * x) + log_share),
        digamma_all - special.digamma(q) + log_rest,
        q / v - (p * x + q) / total,
    ]
    return float(value.sum()), np.array([part.sum() for part in gradient])


def _maximise(
    data: str,
    likelihood: Callable[[Array], tuple[float, Array]],
    start: Array,
    lowest: Array,
    highest: Array,
    observations: int,
) -> tuple[list[float], float]:
    """The parameters of the highest log-likelihood, and that. Raises Unfittable where the search does not settle.

    The search is over logarithms, from a fixed start, by the gradient given. A parameter may end on its bound: then the
    data ask for the limit of the model, for example one where nobody ever leaves, and its predictions are the limit's.
    """

    def loss(logarithms: Array) -> tuple[float, Array]:
        parameters = np.exp(logarithms)
        value, gradient = likelihood(parameters)
        return -value / observations, -gradient * parameters / observations

    bounds = np.log(lowest), np.log(highest)
    logarithms = np.clip(np.log(start), *bounds)
    for _ in range(RESTARTS):
        found = optimize.minimize(
            loss,
            logarithms,
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(*bounds),
            options={"ftol": 0, "gtol": 1e-9, "maxiter": 1000},
        )
        logarithms = found.x
        slope = np.clip(logarithms - found.jac, *bounds) - logarithms
        if np.isfinite(found.fun) and np.abs(slope).max() < SETTLED:
            return [float(parameter) for parameter in np.exp(logarithms)], float(-found.fun * observations)
    raise Unfittable(f"The {data} do not determine a model: its fit did not settle.")


def fit_and_predict(
    summary: pa.Table | Sequence[Mapping[str, Any]], as_of: datetime, settings: Settings | None = None
) -> pa.Table:
    """The rows of `marts.customer_predictions` (schema PREDICTIONS), one per row of `summary` (schema SUMMARY).

    Each tenant has models of its own. The rows are sorted by tenant and user, and equal rows give equal bytes whatever
    their order. Where a tenant or a customer supports no prediction, it is null and `reason` says why.
    Raises ParleyError where the summary lacks a column or contradicts itself, or `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ParleyError("as_of has no time zone: give it one, for example 2026-01-31T00:00:00+00:00.")
    settings = settings or Settings()
    table = _checked(summary)
    tenants = table["tenant_id"].to_numpy()
    ends = [*(np.flatnonzero(tenants[1:] != tenants[:-1]) + 1), len(tenants)]
    pieces = [
        _predict(table.slice(start, end - start), as_of, settings)
        for start, end in zip([0, *ends], ends, strict=False)
        if end > start
    ]
    return pa.concat_tables([PREDICTIONS.empty_table(), *pieces])


def _checked(summary: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
    """The summary in schema and order, its rules checked."""
    table = summary if isinstance(summary, pa.Table) else pa.Table.from_pylist(list(summary), schema=SUMMARY)
    if missing := [name for name in SUMMARY.names if name not in table.column_names]:
        raise ParleyError(f"The purchase summary lacks {', '.join(missing)}: rebuild its model.")
    table = table.select(SUMMARY.names).cast(SUMMARY).sort_by([("tenant_id", "ascending"), ("user_id", "ascending")])
    if holed := [name for name in SUMMARY.names if name != "repeat_value" and table[name].null_count]:
        raise ParleyError(f"The purchase summary has no {', '.join(holed)} in some rows: rebuild its model.")
    x, t_x, age = (table[name].to_numpy() for name in ("frequency", "recency_days", "age_days"))
    if not ((t_x >= 0) & (t_x <= age) & (x >= 0) & ((x > 0) == (t_x > 0)) & np.isfinite(age)).all():
        raise ParleyError("The purchase summary has orders before the first one or after as_of: rebuild its model.")
    return table


def _predict(table: pa.Table, as_of: datetime, settings: Settings) -> pa.Table:
    """The predictions of one tenant."""
    x, t_x, age, value, revenue = (
        table[name].to_numpy().astype(float)
        for name in ("frequency", "recency_days", "age_days", "repeat_value", "revenue")
    )
    customers = Customers(x, t_x / DAYS_PER_WEEK, age / DAYS_PER_WEEK)
    unknown = np.full(len(customers), np.nan)
    alive = orders = lifetime_orders = order_value = unknown
    reasons = np.full(len(customers), None, dtype=object)
    model = None
    try:
        _enough(x > 0, "bought again", settings)
        purchases = BgNbd.fit(customers)
        model = str(purchases)
        alive = purchases.probability_alive(customers)
        orders = purchases.expected_purchases(customers, ORDER_DAYS / DAYS_PER_WEEK)
        lifetime_orders = purchases.expected_purchases(customers, settings.lifetime_days / DAYS_PER_WEEK)
        spending = (x > 0) & (value > 0) & np.isfinite(value)
        _enough(spending, "bought again at a positive value", settings)
        spend = GammaGamma.fit(x[spending], value[spending])
        model = f"{purchases}, {spend}"
        valued = spending | (x == 0)
        order_value = np.where(valued, spend.expected_value(x, np.where(spending, value, 0.0)), np.nan)
        reasons[~valued] = "The repeat orders of this customer have no positive value."
    except Unfittable as error:
        reasons[:] = str(error)
    return pa.table(
        {
            "tenant_id": table["tenant_id"],
            "user_id": table["user_id"],
            "probability_alive": _nullable(alive),
            "churn_probability": _nullable(1 - alive),
            "expected_orders_90d": _nullable(orders),
            "expected_order_value": _nullable(order_value),
            "expected_revenue_90d": _nullable(orders * order_value),
            "lifetime_value_to_date": revenue,
            "predicted_lifetime_value": _nullable(revenue + lifetime_orders * order_value),
            "model": pa.repeat(pa.scalar(model, pa.string()), len(table)),
            "fitted_at": pa.repeat(pa.scalar(as_of, PREDICTIONS.field("fitted_at").type), len(table)),
            "reason": pa.array(reasons, pa.string()),
        },
        schema=PREDICTIONS,
    )


def _enough(counted: NDArray[np.bool_], did: str, settings: Settings) -> None:
    if (count := int(counted.sum())) < settings.min_repeat_customers:
        raise Unfittable(f"Only {count} customers have {did}; {settings.min_repeat_customers} are needed for a model.")


def _nullable(values: Array) -> "pa.Array[Any]":
    return pa.array(values, mask=~np.isfinite(values))
