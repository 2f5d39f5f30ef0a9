"""Exact KL: Monte Carlo for the likelihood, closed form for the divergence (Kingma, Welling 2014).

The first form of the ELBO in Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017), and
the estimator of Kingma and Welling (ICLR 2014), equation 10, for the prior N(0, I). For ConvDRAW
(Gregor et al., "Towards Conceptual Compression", NIPS 2016) every step's KL from its learned prior
is in closed form given the steps before, which are sampled.
"""

from __future__ import annotations

from typing import Any

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind, with_gradient

SUPPORTS = ("gaussian", "convdraw")
OBJECTIVES = ("elbo",)
PRIORS = ("standard", "convdraw")  # the latter is the network's own, and comes with the posterior


def terms(posterior: Any, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch]; log p(z) has no gradient and log q the gradient of the divergence.

    For a Gaussian, `log_joint` must return log N(z; 0, I) as its log prior: a prior with parameters
    of its own would go untrained. ConvDRAW's learns through the divergence along its sample.
    """
    require_kind("exact_kl", SUPPORTS, posterior)
    z = posterior.rsample(noise)
    log_likelihood, log_prior = log_joint(z)
    along = posterior.kind == "convdraw"
    divergence = posterior.kl_along(z) if along else posterior.kl_standard()
    log_posterior = with_gradient(posterior.log_prob(z), divergence)
    return assemble(posterior, (log_likelihood, log_prior.detach()), log_posterior)
