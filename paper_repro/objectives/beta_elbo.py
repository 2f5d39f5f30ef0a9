"""beta-ELBO: the ELBO whose KL divergence is weighted by beta (Higgins et al. 2017).

Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational
Framework" (ICLR 2017), equation 4; in Dai, Wenliang and Wipf, "On the Value of Infinite
Gradients in VAE Models" (NeurIPS 2021), section 2.3, the weight beyond which no optimal sparse
representation exists. A lower bound of the evidence for beta >= 1 only.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Posterior
from paper_repro.estimators.terms import Terms

SUPPORTS = ("gaussian", "bernoulli", "categorical", "mixture", "two_layer", "flow", "convdraw")
LIKE = "elbo"
OPTIONS = {"beta": 4.0}
RULES = {"beta": {"minimum": 0}}


def bound(terms: Terms, posterior: Posterior, *, beta: float | Tensor) -> Tensor:
    """The objective in nats, to be maximised: [K, *batch] -> [*batch].

    `beta` is a number, or a 0-d tensor where it follows a schedule. ValueError if the number is
    negative.
    """
    if isinstance(beta, float | int) and not beta >= 0:
        raise ValueError(f"beta: {beta} is not a weight, which is 0 or more")
    divergence = terms.log_posterior - terms.log_prior
    return (terms.log_likelihood - beta * divergence).mean(0)
