"""Exact KL: Monte Carlo for the likelihood, closed form for KL(q || N(0, I)).

The first form of the ELBO in Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017), and
the estimator of Kingma and Welling (ICLR 2014), equation 10. Needs the prior p(z) = N(0, I).
"""

from __future__ import annotations

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind, with_gradient

SUPPORTS = ("gaussian",)
OBJECTIVES = ("elbo",)


def terms(posterior: DiagonalGaussian, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch]; log p(z) has no gradient and log q the gradient of the divergence.

    `log_joint` must return log N(z; 0, I) as its log prior: a prior with parameters of its own
    would go untrained.
    """
    require_kind("exact_kl", SUPPORTS, posterior)
    z = posterior.rsample(noise)
    log_likelihood, log_prior = log_joint(z)
    value = posterior.frozen().log_prob(z.detach())
    log_posterior = with_gradient(value, posterior.kl_standard())
    return assemble(posterior, (log_likelihood, log_prior.detach()), log_posterior)
