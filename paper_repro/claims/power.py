"""How many seeds a finding needs, and what a number of seeds could have found.

The power of Student's t test is a probability of the noncentral t distribution, whose library
routines fail or warn at few degrees of freedom and far out. It is the average of a normal
probability over the sample's standard deviation (Johnson & Welch 1940, "Applications of the
noncentral t-distribution"), which is integrated here directly. Effects are distances from the
border in standard deviations over seeds. Counts have binomial probabilities, which are sums.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy import optimize, special, stats

from paper_repro.claims.borders import ALPHA, Border, Outcome

POWER = 0.8
MOST = 10_000  # seeds; nobody runs more
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_TAIL = 1e-13  # of the distribution of the standard deviation, left out at both ends
_FAR = 8.0  # where the tail of a normal distribution is below 1e-15


def t_power(effect: float, n: int, alpha: float = ALPHA) -> float:
    """Probability that the two-sided test of `n` seeds finds an effect of so many sd on its side.

    P(T > t) = E over s of Phi(sqrt(n) effect - t s), s^2 being chi-squared over its n - 1 degrees
    of freedom.
    """
    if n < 2:
        return 0.0
    df, shift, reach = n - 1, math.sqrt(n) * effect, _reach(n, alpha)
    first, last = _ends(df)
    # below the first end Phi is 1, above the last it is 0, between them both factors are smooth
    low = max(first, (shift - _FAR) / reach)
    high = max(low, min(last, (shift + _FAR) / reach))
    s = (high + low) / 2 + (high - low) / 2 * _NODES
    density = 2 * df * s * stats.chi2.pdf(df * s**2, df)
    between = (high - low) / 2 * float((_WEIGHTS * density) @ special.ndtr(shift - reach * s))
    return float(stats.chi2.cdf(df * low**2, df)) + between


@cache  # quantiles cost more than the integral, and searches ask for the same ones
def _reach(n: int, alpha: float) -> float:
    """Standard errors from the mean to an end of the t interval of `n` seeds."""
    return float(stats.t.isf(alpha / 2, n - 1))


@cache
def _ends(df: int) -> tuple[float, float]:
    """Between which the sample's sd lies, in true ones, but for `_TAIL` on each side."""
    low, high = np.sqrt(stats.chi2.isf([1 - _TAIL, _TAIL], df) / df)
    return float(low), float(high)


@cache  # of most checks the same few numbers of seeds
def detectable(n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest effect, in sd, that `n` seeds find with this power; inf for fewer than two."""
    if n < 2:
        return math.inf
    most = 1.0
    while t_power(most, n, alpha) < power:
        most *= 2
    return float(optimize.brentq(lambda d: t_power(d, n, alpha) - power, 0.0, most, xtol=1e-9))


def seeds_needed(effect: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """The fewest seeds that find an effect of so many sd, on either side, with this power; None
    beyond `MOST` or without a number."""
    effect = abs(effect)
    if math.isnan(effect) or t_power(effect, MOST, alpha) < power:
        return None
    few, enough = 1, MOST
    while enough - few > 1:
        n = (few + enough) // 2
        few, enough = (few, n) if t_power(effect, n, alpha) >= power else (n, enough)
    return enough


def spread(outcome: Outcome, alpha: float = ALPHA) -> float:
    """The sd over seeds behind a t interval; nan where there is none."""
    if outcome.n < 2:
        return math.nan
    half = (outcome.high - outcome.low) / 2
    return half / _reach(outcome.n, alpha) * math.sqrt(outcome.n)


def leans_to_support(outcome: Outcome, border: Border) -> bool:
    """Whether the estimate lies where more seeds would support rather than refute."""
    if border.test == "superiority":
        return border.side * outcome.estimate >= border.margin
    return all(side * (outcome.estimate - number) > 0 for number, side in border.supports())


def distance(outcome: Outcome, border: Border) -> float:
    """How far the estimate lies, in the unit of the values, from the border that it must clear:
    that of support where it lies beyond it (and reaches the margin), else that of refutation.
    Of an equivalence it is the nearer end, so that more seeds may be needed near its middle."""
    inside, beyond = (
        [side * (outcome.estimate - number) for number, side in statements]
        for statements in (border.supports(), border.refutes())
    )
    return min(inside) if leans_to_support(outcome, border) else max(beyond)


def count_power(n: int, truth: float, share: float = 0.5, alpha: float = ALPHA) -> float:
    """Probability that a count of `n` seeds, each a success with probability `truth`, is found to
    lie above `share`."""
    hits = np.arange(n + 1)
    enough = 2 * stats.binom.sf(hits - 1, n, share) < alpha
    return float(stats.binom.sf(hits[enough][0] - 1, n, truth)) if enough.any() else 0.0


def count_seeds(share: float = 0.5, m: int = 1, alpha: float = ALPHA) -> int:
    """The fewest seeds of which all support a count above `share` at alpha / m; ValueError unless
    the share lies between 0 and 1."""
    if not 0 < share < 1:
        raise ValueError(f"no number of seeds shows a share above {share}")
    n = 2  # a finding's fewest
    while 2 * share**n >= alpha / m:
        n += 1
    return n


def count_seeds_needed(
    truth: float, share: float = 0.5, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """The fewest seeds that find a share of `truth` above `share` with this power; None beyond
    a tenth of `MOST`."""
    sizes = range(2, MOST // 10 + 1)
    return next((n for n in sizes if count_power(n, truth, share, alpha) >= power), None)


def seeds_as_seen(found: Outcome, border: Border, counted: bool, alpha: float) -> int | None:
    """The seeds after which what was seen would be found: a share of seeds where they are
    `counted`, else the distance of the estimate from its border. None where no number would do."""
    if counted:
        truth, share = found.estimate, border.number
        if math.isnan(truth) or truth == share:
            return None
        if truth < share:  # as many would refute it
            truth, share = 1 - truth, 1 - share
        return count_seeds_needed(truth, share, alpha)
    sd = spread(found)
    return seeds_needed(distance(found, border) / sd, alpha) if sd > 0 else None
