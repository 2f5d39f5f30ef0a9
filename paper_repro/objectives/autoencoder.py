"""Generic autoencoder objective: g(mean squared error) + mean of h (Dai et al. 2021, equation 7).

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021): minimise
g(1/(dn) sum_i ||x_i - f(z_i)||^2) + 1/d sum_k h(1/n sum_i z_ik^2). g = h = log is the VAE of
vanishing posterior variances (Lemma 3); no g and h of bounded slope can promise optimal sparse
codes (Theorem 4). A batch objective: both means are taken inside g and h. The decoder must not be
free to rescale z to zero, which is the model's business, for example columns of unit norm.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms, require_kind

SUPPORTS = ("gaussian",)
LIKE = "autoencoder"
READS_PIXELS = True
LIKELIHOODS = ("squared_error",)
OPTIONS = {"g": "log", "h": "log"}
RULES = {
    "g": {
        "enum": ["identity", "saturating", "log1p", "sqrt", "power", "log", "shifted_log", "none"]
    },
    "h": {
        "enum": ["identity", "saturating", "log1p", "sqrt", "power", "log", "shifted_log", "none"]
    },
    "g_constant": {"type": "number", "exclusiveMinimum": 0},
    "h_constant": {"type": "number", "exclusiveMinimum": 0},
}

# u >= 0 and a constant c > 0 -> the penalty; all but none, identity, saturating and log1p have
# an unbounded slope at zero, shifted_log as c -> 0
PENALTIES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda u, c: u,
    "saturating": lambda u, c: u / (c + u),
    "log1p": lambda u, c: (u / c).log1p(),
    "sqrt": lambda u, c: u.sqrt(),
    "power": lambda u, c: u**c,
    "log": lambda u, c: u.log(),
    "shifted_log": lambda u, c: (u + c).log(),
    "none": lambda u, c: 0 * u,  # h of a plain autoencoder
}


def penalty(name: str, u: Tensor, constant: float = 1.0) -> Tensor:
    """The function `name` of PENALTIES, elementwise: u/(c + u), log(1 + u/c), u^c, log(u + c), ...

    ValueError for another name or a constant that is not positive.
    """
    if name not in PENALTIES:
        raise ValueError(f"penalty: {name!r} is not one of {', '.join(PENALTIES)}")
    if not constant > 0:
        raise ValueError(f"constant: {constant} is not positive")
    return PENALTIES[name](u, constant)


def bound(
    terms: Terms,
    posterior: DiagonalGaussian,
    *,
    pixels: int,
    g: str = "log",
    h: str = "log",
    g_constant: float = 1.0,
    h_constant: float = 1.0,
) -> Tensor:
    """Minus eq. (7), to be maximised, the same for all of the batch: [K, *batch] -> [*batch].

    `terms.log_likelihood` is -||x - f(z)||^2 (likelihood `squared_error`, estimator `deterministic`
    where z is the posterior mean), `pixels` is d. Not in nats: a sum of functions of mean squares.
    """
    require_kind("autoencoder", SUPPORTS, posterior)
    if pixels < 1:
        raise ValueError(f"pixels: {pixels}, an image has at least one")
    error = -terms.log_likelihood.mean() / pixels
    code = posterior.mean.square().flatten(0, -2).mean(0)
    loss = penalty(g, error, g_constant) + penalty(h, code, h_constant).sum() / pixels
    return (-loss).expand(terms.log_likelihood.shape[1:])
