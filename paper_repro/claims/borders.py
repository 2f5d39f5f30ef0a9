"""What one check of noisy runs found: an estimate, its interval, and how sure each verdict is.

Every rule of a finding has two borders, one that supports it and one that refutes it, both against
the mean over seeds. What must be shown to support or to refute is a list of one-sided statements
"the mean lies above (below) a number"; interval, both p values, verdict and words follow from it:

- superiority (a smallest effect of interest, Lakens 2017, "Equivalence tests"): above 0, with an
  estimate of at least the margin; refuted below the margin;
- a stated number: above it; refuted below it;
- non-inferiority: above minus the margin; refuted below it;
- equivalence by two one-sided tests (Schuirmann 1987): above the lower end and below the upper
  one; refuted beyond either end.

Each statement is tested by Student's t (1908) or the exact sign test. p values are twice the
one-sided ones, at most 1, so that one below alpha says the same as the 1 - alpha interval. The
repetitions are seeds: runs of two methods that share one are compared by their difference.
There are no bootstrap intervals: at three to twenty seeds they cover too rarely.

A quantity known between two bounds is shown to lie above a number by its lower bound and below one
by its upper bound: supported from the unfavourable one, refuted from the favourable one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

ALPHA = 0.05  # intervals cover 95 %; a decision errs at most this often (2.5 % to each side)
ROUNDING = 1e-6  # of the largest value: what float32 arithmetic leaves where all are equal
SUPPORTED, CONTRADICTED = "supported", "contradicted"
INCONCLUSIVE, NOT_RUN = "inconclusive", "not run"
IDENTICAL = "identical"  # the note of values without variance

Array = NDArray[np.float64]
Statement = tuple[float, int]  # a number, and on which side of it the mean lies: 1 above, -1 below


@dataclass(frozen=True)
class Border:
    """Where support and refutation begin; `margin` and `number` in the unit of the values."""

    test: str  # superiority, number, noninferiority or equivalence
    side: int  # 1 where higher is claimed, -1 where lower, 0 for equivalence
    number: float = 0.0
    margin: float = 0.0

    @staticmethod
    def of(rule: Mapping[str, Any]) -> Border:
        """The borders of the rule of a finding; ValueError if it is none."""
        sides = {"higher": 1, "lower": -1}
        margin = float(rule.get("margin", 0))
        if not margin >= 0:
            raise ValueError(f"a margin is at least 0, not {margin}")
        if "superior" in rule:
            return Border("superiority", sides[rule["superior"]], 0.0, margin)
        if "not_worse" in rule:
            return Border("noninferiority", sides[rule["not_worse"]], 0.0, margin)
        if "equivalent" in rule:
            return Border("equivalence", 0, float(rule["equivalent"]), margin)
        if "above" in rule:
            return Border("number", 1, float(rule["above"]))
        if "below" in rule:
            return Border("number", -1, float(rule["below"]))
        raise ValueError(f"no rule of a finding: {dict(rule)}")

    def supports(self, margins: float = 1.0) -> list[Statement]:
        """What must all be shown to support, the margin being `margins` times as wide."""
        margin = self.margin * margins
        if self.test == "equivalence":
            return [(self.number - margin, 1), (self.number + margin, -1)]
        if self.test == "noninferiority":
            return [(-self.side * margin, self.side)]
        return [(self.number, self.side)]

    def refutes(self, margins: float = 1.0) -> list[Statement]:
        """Of what one must be shown to refute, the margin being `margins` times as wide."""
        if self.test == "superiority":
            return [(self.side * self.margin * margins, -self.side)]
        if self.test == "equivalence":
            (low, _), (high, _) = self.supports(margins)
            return [(high, 1), (low, -1)]
        return [(number, -side) for number, side in self.supports(margins)]


@dataclass(frozen=True)
class Outcome:
    """What a check found; nan where there is no number. `support` and `refute` are two-sided p
    values; `n` counts seeds; `unit` names the unit (data set, k) that decides, if any."""

    estimate: float
    low: float
    high: float
    support: float
    refute: float
    n: int
    note: str = ""
    unit: str = ""


def t_outcome(
    low: ArrayLike, high: ArrayLike, border: Border, alpha: float = ALPHA, margins: float = 1.0
) -> Outcome:
    """What one value per seed says of a border by Student's t.

    `low` and `high` hold each seed's bounds, and are the same where it has a value. ValueError if
    one is nan: a failed run must not shrink a sample. An infinite one decides nothing.
    """
    return _outcome(t_tests, low, high, border, alpha, margins)


def sign_outcome(
    low: ArrayLike, high: ArrayLike, border: Border, alpha: float = ALPHA, margins: float = 1.0
) -> Outcome:
    """As `t_outcome` by the exact sign test, which asks where the median lies and assumes nothing
    of the distribution; it decides from six seeds on. A value on a number is on neither side."""
    return _outcome(sign_tests, low, high, border, alpha, margins)


def t_tests(
    low: Array, high: Array, border: Border, alpha: float = ALPHA, margins: float = 1.0
) -> tuple[Array, ...]:
    """Estimate, interval (low, high) and p of support and refutation of many samples at once.
    `low` and `high` (..., seeds), at least two seeds; all results (...)."""
    n = low.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        ends = {1: low, -1: high}
        mean = {side: x.mean(-1) for side, x in ends.items()}
        se = {side: x.std(-1, ddof=1) / math.sqrt(n) for side, x in ends.items()}
        nil = {side: ~varies(x, border.margin) for side, x in ends.items()}

        def p(statement: Statement) -> Array:
            number, side = statement
            one_sided = special.stdtr(n - 1, -side * (mean[side] - number) / se[side])
            return np.where(nil[side], 1.0, np.minimum(1, 2 * one_sided))

        support, refute = _both(p, mean[border.side or 1], border, margins)
        reach = float(stats.t.ppf(1 - alpha / 2, n - 1))
        bounds = (_clean(mean[s] - s * reach * se[s], s) for s in (1, -1))
        return ((mean[1] + mean[-1]) / 2, *bounds, support, refute)


def sign_tests(
    low: Array, high: Array, border: Border, alpha: float = ALPHA, margins: float = 1.0
) -> tuple[Array, ...]:
    """As `t_tests` for medians by the exact sign test; the interval is that of order statistics,
    without ends below six seeds (at 95 %)."""
    n = low.shape[-1]
    ends = {1: np.sort(low, -1), -1: np.sort(high, -1)}
    median = {side: np.median(x, -1) for side, x in ends.items()}
    nil = {side: ~varies(x, border.margin) for side, x in ends.items()}

    def p(statement: Statement) -> Array:
        number, side = statement
        hits = (side * (ends[side] - number) > 0).sum(-1)
        return np.where(nil[side], 1.0, np.minimum(1, 2 * stats.binom.sf(hits - 1, n, 0.5)))

    support, refute = _both(p, median[border.side or 1], border, margins)
    cut = int((stats.binom.cdf(np.arange(n // 2 + 1), n, 0.5) < alpha / 2).sum())
    if cut:  # the cut-th smallest and largest values
        bounds = ends[1][..., cut - 1], ends[-1][..., n - cut]
    else:
        bounds = np.full_like(median[1], -np.inf), np.full_like(median[1], np.inf)
    return ((median[1] + median[-1]) / 2, *bounds, support, refute)


def varies(values: Array, margin: float = 0.0) -> NDArray[np.bool_]:
    """Whether values (..., seeds) differ by more than rounding, of themselves or of a margin; not
    said of infinite ones."""
    with np.errstate(invalid="ignore"):
        spread = values.max(-1) - values.min(-1)
        return np.asarray(spread > ROUNDING * np.maximum(np.abs(values).max(-1), margin))


def verdict(outcome: Outcome, alpha: float = ALPHA) -> str:
    """The verdict of one check alone, before it is one of many."""
    if outcome.support < alpha:
        return SUPPORTED
    return CONTRADICTED if outcome.refute < alpha else INCONCLUSIVE


def _both(
    p: Callable[[Statement], Array], worst: Array, border: Border, margins: float
) -> tuple[Array, Array]:
    """p of support and of refutation; `worst` is the estimate from the unfavourable bounds."""
    support = np.max([p(statement) for statement in border.supports(margins)], axis=0)
    refute = np.min([p(statement) for statement in border.refutes(margins)], axis=0)
    if border.test == "superiority":
        enough = border.side * worst >= border.margin * margins
        support = np.where(enough, support, 1.0)
    return support, refute


def _outcome(
    tests: Callable[..., tuple[Array, ...]],
    low: ArrayLike,
    high: ArrayLike,
    border: Border,
    alpha: float,
    margins: float,
) -> Outcome:
    x, y = (np.asarray(values, float).reshape(-1) for values in (low, high))
    if len(x) != len(y) or np.isnan(x).any() or np.isnan(y).any() or (x > y).any():
        raise ValueError("every seed needs a value, or a lower and an upper bound")
    if len(x) < 2:
        estimate = float((x[0] + y[0]) / 2) if len(x) else math.nan
        note = "one seed" if len(x) else "no seed"
        return Outcome(estimate, math.nan, math.nan, 1.0, 1.0, len(x), note)
    with np.errstate(invalid="ignore"):
        found = (float(value) for value in tests(x, y, border, alpha, margins))
        estimate, below, above, support, refute = found
    note = ""
    if not np.isfinite([x, y]).all():
        note = "an infinite value"
    elif not varies(x, border.margin) and not varies(y, border.margin):
        note = f"{IDENTICAL} for all seeds"
    return Outcome(estimate, below, above, support, refute, len(x), note)


def _clean(end: Array, side: int) -> Array:
    """An interval's end, infinite where an infinite value leaves none."""
    return np.where(np.isnan(end), -side * np.inf, end)
