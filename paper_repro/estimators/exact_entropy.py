"""Exact entropy: Monte Carlo for log p(x, z), closed form for the entropy of q.

The second form of the ELBO in Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017):
E[log p(x, z)] + H[q]. For a location-scale q it equals the total derivative sample by sample
(our derivation).
"""

from __future__ import annotations

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind, with_gradient

SUPPORTS = ("gaussian",)
OBJECTIVES = ("elbo",)


def terms(posterior: DiagonalGaussian, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] whose log q has the gradient of -H[q]."""
    require_kind("exact_entropy", SUPPORTS, posterior)
    z = posterior.rsample(noise)
    value = posterior.frozen().log_prob(z.detach())
    return assemble(posterior, log_joint(z), with_gradient(value, -posterior.entropy()))
