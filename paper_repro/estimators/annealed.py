"""Annealed mixture of two estimators: alpha of one, 1 - alpha of the other (Shao et al. 2025).

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587), train an encoder by the
analytic gradient of a linear decoder and a sampled one of the nonlinear decoder, under an annealing
schedule. Details are our choice:

Without `guide` both estimate the gradient of one bound and so does their mixture, which is
unbiased where both are. With `guide`, the first estimator's own log joint (the linear decoder),
the encoder follows alpha grad(ELBO of guide) + (1 - alpha) grad(ELBO of log_joint), where the
divergence counts once, and each decoder gets the full gradient of its own bound.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from torch import Tensor

from paper_repro import contracts
from paper_repro.contracts import Estimator
from paper_repro.distributions.posterior import Noise
from paper_repro.estimators import reinforce
from paper_repro.estimators.analytic_kl import Family
from paper_repro.estimators.terms import LogJoint, Terms, require_kind, with_gradient

SUPPORTS = ("gaussian", "bernoulli", "categorical")
OBJECTIVES = ("elbo",)
PRIORS = ("standard",)
OPTIONS = {"first": "score_function", "second": "reinforce", "alpha": 0.5}
RULES = {
    "first": {"not": {"const": "annealed"}, "description": "an estimator that it can mix"},
    "second": {"not": {"const": "annealed"}, "description": "an estimator that it can mix"},
    "alpha": {"minimum": 0, "maximum": 1},
}
STATE = {"reward": 0.0, "weight": 0.0}  # the baseline of a `reinforce` within


def terms(
    posterior: Family,
    log_joint: LogJoint,
    noise: Noise,
    *,
    first: str,
    second: str,
    alpha: float | Tensor,
    guide: LogJoint | None = None,
    **options: Any,
) -> Terms:
    """Terms [K, *batch] with the values of `second`, on the same noise as `first`.

    `first` and `second` name estimators of the ELBO, `alpha` is a number or a 0-d tensor in [0, 1].
    `options` and state go to whichever of the two declares them. ValueError for an alpha or an
    estimator that does not fit, and for an option that neither has.
    """
    require_kind("annealed", SUPPORTS, posterior)
    if isinstance(alpha, Tensor) and alpha.ndim:
        raise ValueError(f"alpha: a number or a 0-d tensor, got shape {list(alpha.shape)}")
    if not isinstance(alpha, Tensor) and not 0 <= alpha <= 1:
        raise ValueError(f"alpha: {alpha} is not between 0 and 1")
    if unknown := sorted(options.keys() - (_declared(first) | _declared(second) | STATE).keys()):
        raise ValueError(f"{unknown[0]}: an option of neither {first!r} nor {second!r}")

    def estimate(name: str, q: Family, joint: LogJoint) -> Terms:
        own = {key: options.get(key, default) for key, default in _declared(name).items()}
        return _load(name).terms(q, joint, noise, **own)

    if guide is None:
        weights = alpha, 1 - alpha
        parts = estimate(first, posterior, log_joint), estimate(second, posterior, log_joint)
    else:  # the posterior scales what reaches the encoder, and nothing scales the decoders
        weights = 1, 1
        scaled = posterior.scaled(alpha), posterior.scaled(1 - alpha)
        parts = estimate(first, scaled[0], guide), estimate(second, scaled[1], log_joint)
    return Terms(
        *(
            # of `first`, the mean over its K samples joins each of the other's: same mean over K
            with_gradient(value, weights[0] * extra.mean(0) + weights[1] * value)
            for extra, value in zip(*parts, strict=True)
        )
    )


def advance(terms: Terms, *, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """The state of `reinforce` after a step, from the rewards of `second`."""
    return reinforce.advance(terms, reward=reward, weight=weight)


@cache
def _load(name: str) -> Estimator:
    module = contracts.estimator(name)
    if name == "annealed" or "elbo" not in module.OBJECTIVES:
        raise ValueError(f"annealed: {name!r} is not an estimator of the ELBO that it can mix")
    return module


def _declared(name: str) -> dict[str, Any]:
    """Options and state of an estimator, with their defaults."""
    module = _load(name)
    return {**module.OPTIONS, **module.STATE}
