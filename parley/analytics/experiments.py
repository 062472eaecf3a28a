"""Which variant of an experiment is better, computed from sums alone: no row of a person is needed.

Every comparison is two-sided and against the control. `docs/decisions/experiments.md` says which formulas and why.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from typing import Any, Literal

from scipy import special

from parley.errors import ParleyError

Row = dict[str, Any]


class Untestable(Exception):
    """The figures allow no test. The message is the sentence that a reader of the result sees."""


@dataclass(frozen=True)
class Settings:
    """How sure to be, and where the sequential interval is to be at its narrowest.

    `alpha` is the probability of a false alarm (0.05: 95 % intervals). `sequential_users` is the number of users, both
    variants together, at which a decision is expected: it tunes the sequential interval and never invalidates it.
    """

    alpha: float = 0.05
    sequential_users: int = 5000

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ParleyError(f"alpha is {self.alpha}: set it between 0 and 1, for example 0.05.")
        if self.sequential_users < 1:
            raise ParleyError(f"sequential_users is {self.sequential_users}: set it to 1 or more.")


@dataclass(frozen=True)
class Sample:
    """The users of one variant: how many, their mean, and the variance from user to user."""

    users: int
    mean: float
    variance: float

    @property
    def squared_error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.users


@dataclass(frozen=True)
class Effect:
    """An effect, its fixed-horizon test and interval, and those that hold however often one looks."""

    estimate: float
    standard_error: float
    ci_low: float
    ci_high: float
    p_value: float
    sequential_low: float
    sequential_high: float
    sequential_p_value: float


def of_conversions(conversions: int, users: int) -> Sample:
    """The sample of a yes-or-no metric: mean p, variance p(1 - p). Raises Untestable under two users."""
    if users < 2:
        raise Untestable("There are fewer than two users.")
    rate = conversions / users
    return Sample(users, rate, rate * (1 - rate))


def of_sums(total: float, total_squares: float, users: int) -> Sample:
    """The sample of a numeric metric, of which the sum and the sum of squares over the users are known.

    The variance is the unbiased one, (Σx² - (Σx)²/n) / (n - 1); what is within the rounding of the sums counts as 0.
    Raises Untestable under two users, and where no numbers have these sums.
    """
    if users < 2:
        raise Untestable("There are fewer than two users.")
    mean = total / users
    squares = total_squares - total * mean
    if not (math.isfinite(mean) and math.isfinite(squares)):
        raise Untestable("The sums are too large, or not numbers.")
    rounding = users * math.ulp(1.0) * total_squares
    if squares < -rounding:
        raise Untestable("The sum of squares is too small for the sum.")
    return Sample(users, mean, squares / (users - 1) if squares > rounding else 0.0)


def difference(control: Sample, variant: Sample, settings: Settings) -> Effect:
    """The variant's mean less the control's. Raises Untestable where nothing varies."""
    squared_error = control.squared_error + variant.squared_error
    return _effect(variant.mean - control.mean, squared_error, control, variant, settings)


def relative_lift(control: Sample, variant: Sample, settings: Settings) -> Effect:
    """The variant's mean over the control's, less 1; its standard error by the delta method.

    Var(m_v / m_c) ≈ Var(m_v) / m_c² + Var(m_c) m_v² / m_c⁴. Raises Untestable where the control's mean is not positive,
    or nothing varies.
    """
    if control.mean <= 0:
        raise Untestable("The control's mean is not above zero, so nothing can be said relative to it.")
    ratio = variant.mean / control.mean
    squared_error = (variant.squared_error + control.squared_error * ratio * ratio) / control.mean / control.mean
    return _effect(ratio - 1, squared_error, control, variant, settings)


def _effect(estimate: float, squared_error: float, control: Sample, variant: Sample, settings: Settings) -> Effect:
    if squared_error == 0:
        raise Untestable("The values do not vary, so chance cannot be told from effect.")
    error = math.sqrt(squared_error)
    freedom = _welch_degrees_of_freedom(control, variant)
    p_value = 2 * float(special.stdtr(freedom, -abs(estimate / error)))
    fixed = error * float(-special.stdtrit(freedom, settings.alpha / 2))
    users = control.users + variant.users
    # among a handful of users Student's t is wider than the sequential interval, which is asymptotic: it is the floor
    sequential = max(fixed, error * _sequential_quantile(users, settings))
    effect = Effect(
        estimate=estimate,
        standard_error=error,
        ci_low=estimate - fixed,
        ci_high=estimate + fixed,
        p_value=p_value,
        sequential_low=estimate - sequential,
        sequential_high=estimate + sequential,
        sequential_p_value=max(p_value, _sequential_p_value(estimate / error, users, settings)),
    )
    if not all(map(math.isfinite, astuple(effect))):
        raise Untestable("The figures are too large or too small to compute with.")
    return effect


def _welch_degrees_of_freedom(control: Sample, variant: Sample) -> float:
    """Welch (1947) and Satterthwaite (1946), as a function of the control's share of the squared error."""
    share = control.squared_error / (control.squared_error + variant.squared_error)
    return 1 / (share**2 / (control.users - 1) + (1 - share) ** 2 / (variant.users - 1))


def _mixture(users: int, settings: Settings) -> float:
    """n ρ², with the ρ that makes the interval narrowest at `sequential_users`.

    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform central limit theory and asymptotic confidence sequences,
    Annals of Statistics 52 (2024), arXiv:2103.06476.
    """
    log_alpha = math.log(settings.alpha)
    return users * (-2 * log_alpha + math.log(1 - 2 * log_alpha)) / settings.sequential_users


def _sequential_quantile(users: int, settings: Settings) -> float:
    """How many standard errors the sequential interval reaches to each side: that paper's Gaussian-mixture boundary."""
    mixture = _mixture(users, settings)
    return math.sqrt((1 + 1 / mixture) * (math.log1p(mixture) - 2 * math.log(settings.alpha)))


def _sequential_p_value(z: float, users: int, settings: Settings) -> float:
    """The alpha at which the sequential interval, its tuning left as it is, would just touch zero."""
    mixture = _mixture(users, settings)
    return min(1.0, math.exp((math.log1p(mixture) - z * z * mixture / (mixture + 1)) / 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for being several, in the order given (Holm 1979): valid whatever their dependence."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = highest
    return adjusted


def sample_ratio_p_value(users: Sequence[int], weights: Sequence[float]) -> float | None:
    """The probability of shares at least this far from the weights, were users assigned by them (Pearson's chi-square).

    Weights need not add up to 1. A user in a variant of weight 0 is impossible: 0.0. None with fewer than two variants
    to share between, or where a variant can expect fewer than five users, too few for the approximation.
    """
    if any(count for count, weight in zip(users, weights, strict=True) if weight == 0):
        return 0.0
    pairs = [(count, weight) for count, weight in zip(users, weights, strict=True) if weight > 0]
    if len(pairs) < 2:
        return None
    all_users, all_weights = sum(count for count, _ in pairs), math.fsum(weight for _, weight in pairs)
    expected = [all_users * (weight / all_weights) for _, weight in pairs]  # a share first: weights may be huge
    if min(expected) < 5:
        return None
    distance = math.fsum((count - mean) ** 2 / mean for (count, _), mean in zip(pairs, expected, strict=True))
    return float(special.chdtrc(len(pairs) - 1, distance))


@dataclass(frozen=True)
class Arm:
    """One variant's figures of one metric: what the dbt model before `evaluate` gives per row.

    `kind` is `proportion` (users who converted) or `mean` (a value per user, of which `total` and `total_squares` are
    the sums over all users; a user without one counts as 0). `conversions` are the users who converted, or whose value
    is not 0. `weight` is the share of users meant for the variant, null in all rows for equal shares.
    `multiple_exposures` are users who saw more than one variant: they are set apart and in no other figure.
    """

    tenant_id: str
    experiment: str
    metric: str
    variant: str
    kind: Literal["proportion", "mean"]
    is_control: bool
    users: int
    conversions: int
    total: float | None = None
    total_squares: float | None = None
    weight: float | None = None
    multiple_exposures: int = 0

    def __post_init__(self) -> None:
        place = f"Experiment {self.experiment!r}, metric {self.metric!r}, variant {self.variant!r}"
        if self.kind not in ("proportion", "mean"):
            raise ParleyError(f"{place}: kind is {self.kind!r}; make it proportion or mean.")
        if not 0 <= self.conversions <= self.users:
            raise ParleyError(f"{place}: conversions must lie between 0 and users; fix the model that counts them.")
        if self.kind == "mean" and (self.total is None or self.total_squares is None):
            raise ParleyError(f"{place}: a mean needs total and total_squares; fix the model that sums them.")
        if self.weight is not None and not (self.weight >= 0 and math.isfinite(self.weight)):
            raise ParleyError(f"{place}: the weight is {self.weight}; set it to 0 or more.")

    @property
    def sample(self) -> Sample:
        if self.total is None or self.total_squares is None or self.kind == "proportion":
            return of_conversions(self.conversions, self.users)
        return of_sums(float(self.total), float(self.total_squares), self.users)

    @property
    def mean_value(self) -> float | None:
        if self.kind == "proportion" or self.total is None or not self.users:
            return None
        mean = float(self.total) / self.users
        return mean if math.isfinite(mean) else None


def evaluate(rows: Iterable[Mapping[str, Any]], settings: Settings | None = None) -> list[Row]:
    """The rows of `marts.experiment_results` from rows with the fields of `Arm`, one per variant and metric.

    Sorted by tenant, experiment and metric, the control first, so that equal figures give equal rows. `lift`, `p_value`
    and `is_significant` speak of the relative lift; the absolute difference stands beside it. Holm's correction runs
    over the variants of one metric. Whatever cannot be computed is None, and `reason` says why.
    Raises ParleyError where a row contradicts itself, or a metric has several controls.
    """
    settings = settings or Settings()
    arms = sorted((Arm(**row) for row in rows), key=lambda arm: (*_comparison(arm), not arm.is_control, arm.variant))
    return [row for _, group in groupby(arms, key=_comparison) for row in _compare(list(group), settings)]


def _comparison(arm: Arm) -> tuple[str, str, str]:
    return arm.tenant_id, arm.experiment, arm.metric


def _compare(arms: Sequence[Arm], settings: Settings) -> list[Row]:
    """The results of one metric; the control, where there is one, stands first."""
    if sum(arm.is_control for arm in arms) > 1:
        raise ParleyError(f"Experiment {arms[0].experiment!r} has several controls: declare one.")
    weights = _weights(arms)
    srm_p_value = sample_ratio_p_value([arm.users for arm in arms], weights) if weights else None
    results = [_result(arm, arms[0], settings) | {"srm_p_value": srm_p_value} for arm in arms]
    for p_value, adjusted, significant in (
        ("p_value", "p_value_adjusted", "is_significant"),
        ("sequential_p_value", "sequential_p_value_adjusted", "is_significant_sequential"),
    ):
        tested = [result for result in results if result[p_value] is not None]
        for result, value in zip(tested, holm([result[p_value] for result in tested]), strict=True):
            result |= {adjusted: value, significant: value < settings.alpha}
    return results


def _weights(arms: Sequence[Arm]) -> list[float] | None:
    """The weights of the arms, equal ones where none is declared; None where only some are."""
    weights = [float(arm.weight) for arm in arms if arm.weight is not None]
    if not weights:
        return [1.0] * len(arms)
    return weights if len(weights) == len(arms) else None


def _result(arm: Arm, control: Arm, settings: Settings) -> Row:
    lift, absolute, reason = _tests(arm, control, settings)
    return {
        "tenant_id": arm.tenant_id,
        "experiment": arm.experiment,
        "metric": arm.metric,
        "variant": arm.variant,
        "is_control": arm.is_control,
        "kind": arm.kind,
        "users": arm.users,
        "conversions": arm.conversions,
        "rate": arm.conversions / arm.users if arm.users else None,
        "mean_value": arm.mean_value,
        "lift": lift and lift.estimate,
        "lift_ci_low": lift and lift.ci_low,
        "lift_ci_high": lift and lift.ci_high,
        "p_value": lift and lift.p_value,
        "p_value_adjusted": None,
        "is_significant": None,
        "lift_sequential_low": lift and lift.sequential_low,
        "lift_sequential_high": lift and lift.sequential_high,
        "sequential_p_value": lift and lift.sequential_p_value,
        "sequential_p_value_adjusted": None,
        "is_significant_sequential": None,
        "difference": absolute and absolute.estimate,
        "difference_ci_low": absolute and absolute.ci_low,
        "difference_ci_high": absolute and absolute.ci_high,
        "difference_p_value": absolute and absolute.p_value,
        "srm_p_value": None,
        "multiple_exposures": arm.multiple_exposures,
        "reason": reason,
    }


def _tests(arm: Arm, control: Arm, settings: Settings) -> tuple[Effect | None, Effect | None, str | None]:
    """The relative lift, the absolute difference, and why one of them is missing."""
    if arm.is_control:
        return None, None, "This is the control."
    if not control.is_control:
        return None, None, "The experiment has no control to compare with."
    try:
        baseline = control.sample
    except Untestable as error:
        return None, None, f"In the control: {error}"
    try:
        sample = arm.sample
        absolute = difference(baseline, sample, settings)
    except Untestable as error:
        return None, None, str(error)
    try:
        return relative_lift(baseline, sample, settings), absolute, None
    except Untestable as error:
        return None, absolute, str(error)
