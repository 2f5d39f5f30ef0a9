"""Hand-annealed ELBO: a pixel standard deviation falling from 2.0 to 0.7 (Eslami et al. 2018, GQN).

Eslami et al., "Neural scene representation and rendering" (Science 2018), as re-implementations
have it; the annealed baseline of Rezende and Viola, "Taming VAEs" (2018). With the precision
1 / sigma_t^2 in front of the unit-variance Gaussian likelihood, minus the objective is
||x - f(z)||^2 / (2 sigma_t^2) + KL and a constant. As sigma ends at 0.7, a linear decoder keeps
only the principal directions of variance above 0.49: the baseline ends coarse by construction.
A fairer annealing by hand (ours) is `beta_elbo` with beta linear from 1e-3 to 1.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Posterior
from paper_repro.estimators.terms import Terms

SUPPORTS = ("gaussian", "bernoulli", "categorical", "mixture", "two_layer", "flow", "convdraw")
LIKE = "elbo"
LIKELIHOODS = ("gaussian",)  # of variance 1: another one would multiply sigma_t^2
OPTIONS = {"precision": 0.25}
RULES = {"precision": {"exclusiveMinimum": 0}}


def bound(terms: Terms, posterior: Posterior, *, precision: float | Tensor) -> Tensor:
    """The objective in nats, to be maximised: [K, *batch] -> [*batch].

    `precision`, 1 / sigma_t^2 in inverse squared pixel units, is a number or a 0-d tensor. The
    value lacks the normaliser -D log sigma_t of a density, which has no gradient. ValueError if
    the number is not positive.
    """
    if isinstance(precision, float | int) and not precision > 0:
        raise ValueError(f"precision: {precision} is not positive")
    divergence = terms.log_posterior - terms.log_prior
    return (precision * terms.log_likelihood - divergence).mean(0)
