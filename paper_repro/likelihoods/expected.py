"""Expected Gaussian log-likelihoods of linear decoders in closed form ("Silent Gradients", 2025).

After Shao, Liu and Van den Broeck, arXiv 2508.03587; their equations are not known to us, these are
our derivations. With mean mu(z) = A + b and, where the precision tau depends on z, s(z) = S + c
(A = w.z, S = v.z per pixel), E log p = -1/2 sum [log 2 pi - E log tau + R] over pixels, where
R = E[(x - mu)^2 tau]:

    fixed, L0  tau constant, or constant per pixel                    exact
    EXP        tau = exp(s)                                           exact, from the tilt by exp(S)
    EXP2       tau = exp(E s) (1 + S' + S'^2/2) inside R, exp(s) in the log: a surrogate of EXP
               from four moments (S' centred; this tau is positive, so R >= 0)
    SQ         tau = s^2: R exact; E log s^2 exact for Gaussian z, else to second order (delta)

Arguments are pixels [..., P] that broadcast: x [B, P], `error` = x - E mu and `scale` = E s [B, P],
cumulants as named in `distributions.projections`. Values are nats/image, [...].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from paper_repro.likelihoods.normal import LOG_2PI

# E log s^2 from a table-free pair of expansions that meet at Y_CUT, both to 1e-15 there.
Y_CUT = 8.0
STEP = 0.25  # trapezoidal step: truncation error exp(-(pi / (2 STEP))^2) = 7e-18
TERMS = 29  # odd multiples of STEP up to Y_CUT + 6.3
ASYMPTOTIC = 15
DIGAMMA_HALF = -1.9635100260214235  # digamma(1/2) = -Euler's constant - 2 log 2
MIN_SQUARE = 1e-6  # floor of E s^2 in the delta method


def fixed(error: Tensor, var_a: Tensor, variance: float | Tensor) -> Tensor:
    """E log N(x; mu, variance): -D/2 log(2 pi variance) - sum(error^2 + VA) / (2 variance)."""
    log_variance = variance.log() if isinstance(variance, Tensor) else math.log(variance)
    distortion = (error.square() + var_a) / variance + log_variance
    return -0.5 * (distortion + LOG_2PI).sum(-1)


def constant_precision(error: Tensor, var_a: Tensor, log_precision: Tensor) -> Tensor:
    """L0: a precision per pixel that does not depend on z; log_precision [P]."""
    return _assemble(log_precision, log_precision.exp() * (error.square() + var_a))


def exp(
    tilted_error: Tensor, tilted_var_a: Tensor, log_normaliser: Tensor, scale: Tensor
) -> Tensor:
    """EXP, exact. Under the tilt by exp(S): `tilted_error` = x - E mu, `tilted_var_a` = Var A.

    `log_normaliser` is log E exp(s), c included; `scale` the untilted E s. E exp(s) may overflow
    where its product with a small squared error is finite, so each factor gets half of it.
    """
    half = (0.5 * log_normaliser).exp()
    return _assemble(scale, (half * tilted_error).square() + half * (half * tilted_var_a))


def exp2(
    error: Tensor,
    scale: Tensor,
    var_a: Tensor,
    var_s: Tensor,
    cov: Tensor,
    k12: Tensor,
    k21: Tensor,
    k22: Tensor,
) -> Tensor:
    """EXP2: a surrogate of EXP, not a log-density's expectation; report EXP's, by sampling."""
    relative = (
        (error.square() + var_a) * (1 + 0.5 * var_s)
        - error * (2 * cov + k12)
        + k21
        + cov.square()
        + 0.5 * k22
    )
    return _assemble(scale, scale.exp() * relative)


def square(
    error: Tensor,
    scale: Tensor,
    log_square: Tensor,
    var_a: Tensor,
    var_s: Tensor,
    cov: Tensor,
    k12: Tensor,
    k21: Tensor,
    k22: Tensor,
) -> Tensor:
    """SQ, precision s^2; `log_square` is E log s^2 from one of the two functions below."""
    weighted = (
        (error.square() + var_a) * (scale.square() + var_s)
        - 4 * error * scale * cov
        - 2 * error * k12
        + 2 * scale * k21
        + 2 * cov.square()
        + k22
    )
    return _assemble(log_square, weighted)


def log_square_gaussian(scale: Tensor, var_s: Tensor) -> Tensor:
    """E log s^2 for s ~ N(scale, var_s), exactly; [...] each.

    With y = scale / sqrt(2 var_s) and Dawson's function F it is log(2 var_s) + digamma(1/2)
    + 4 int_0^y F, for large y log scale^2 - sum_n (2n-1)!!/n (2 y^2)^-n. Its derivatives, by scale
    2 sqrt(2 / var_s) F(y) and by var_s (1 - 2 y F(y)) / var_s, are attached as a linear term: the
    expansions are never differentiated. There is no second derivative.
    """
    mean, variance = scale.detach(), var_s.detach()
    y = mean / (2 * variance).sqrt()
    dawson, integral = _dawson(y.clamp(-Y_CUT, Y_CUT))
    inverse = variance / mean.square()  # 1 / (2 y^2), which variance = 0 leaves finite
    near = y.abs() < Y_CUT
    tail, slope = _asymptotic(torch.where(near, torch.zeros_like(inverse), inverse))
    value = torch.where(
        near, (2 * variance).log() + DIGAMMA_HALF + 4 * integral, mean.square().log() - tail
    )
    d_mean = torch.where(near, 2 * (2 / variance).sqrt() * dawson, 2 / mean * (1 + slope * inverse))
    d_variance = torch.where(near, (1 - 2 * y * dawson) / variance, -slope / mean.square())
    return value + d_mean * (scale - mean) + d_variance * (var_s - variance)


def log_square_delta(scale: Tensor, var_s: Tensor, k03: Tensor, k04: Tensor) -> Tensor:
    """E log s^2 to second order in s^2 about its mean T, for any z: log T - Var(s^2) / (2 T^2).

    Not a bound. Of a Gaussian s it is 0.36 too high where |scale| is one standard deviation, and
    0.02 where it is four. T is kept above 1e-6.
    """
    mean = (scale.square() + var_s).clamp_min(MIN_SQUARE)
    variance = 4 * scale.square() * var_s + 4 * scale * k03 + k04 + 2 * var_s.square()
    return mean.log() - 0.5 * variance / mean.square()


def _assemble(expected_log_precision: Tensor, weighted_square: Tensor) -> Tensor:
    return -0.5 * (LOG_2PI - expected_log_precision + weighted_square).sum(-1)


def _dawson(y: Tensor) -> tuple[Tensor, Tensor]:
    """Dawson's function F and its integral from 0, for |y| <= Y_CUT.

    Rybicki's sum, F(y) = pi^-1/2 sum over odd n of exp(-(y - n h)^2) / n (Computers in Physics 3,
    1989), and the same sum integrated, which is one of error functions.
    """
    dawson, integral = torch.zeros_like(y), torch.zeros_like(y)
    for n in range(1, 2 * TERMS, 2):
        left, right = y - n * STEP, y + n * STEP
        dawson = dawson + ((-left.square()).exp() - (-right.square()).exp()) / n
        integral = integral + (left.erf() - right.erf() + 2 * math.erf(n * STEP)) / (2 * n)
    return dawson / math.sqrt(math.pi), integral


def _asymptotic(inverse: Tensor) -> tuple[Tensor, Tensor]:
    """For t = 1/(2 y^2): sum_n (2n-1)!!/n t^n, and (2 y F(y) - 1) / t = sum_n (2n-1)!! t^(n-1)."""
    tail, slope = torch.zeros_like(inverse), torch.zeros_like(inverse)
    for n in range(ASYMPTOTIC, 0, -1):
        coefficient = math.prod(range(1, 2 * n, 2))
        tail = (tail + coefficient / n) * inverse
        slope = slope * inverse + coefficient
    return tail, slope
