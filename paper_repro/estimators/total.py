"""Total derivative: the standard reparameterised gradient, path derivative plus score.

Kingma and Welling (ICLR 2014); "total derivative" in Roeder, Wu and Duvenaud, "Sticking the
Landing" (NIPS 2017), the baseline of that paper. At q(z | x) = p(z | x) it reduces to minus the
score, whose covariance is the Fisher information of q: it does not vanish there.
"""

from __future__ import annotations

from paper_repro.distributions.posterior import Noise, Reparameterised
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind

SUPPORTS = ("gaussian", "mixture", "two_layer", "flow", "convdraw")
OBJECTIVES = ("elbo", "iwae")


def terms(posterior: Reparameterised, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] differentiated as they stand."""
    require_kind("total", SUPPORTS, posterior)
    z = posterior.rsample(noise)
    return assemble(posterior, log_joint(z), posterior.log_prob(z))
