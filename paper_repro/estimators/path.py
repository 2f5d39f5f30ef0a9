"""Path derivative (STL): parameters detached inside log q, samples left attached.

Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017). Drops the score of q, whose
expectation is zero: unbiased for the ELBO, and exactly zero for every sample at
q(z | x) = p(z | x). For a mixture the gradient also runs through the weights in front of the
components. With the IWAE bound and more than one sample it is biased (Tucker et al., "Doubly
Reparameterized Gradient Estimators", ICLR 2019); `dreg` is the unbiased counterpart.
"""

from __future__ import annotations

from paper_repro.distributions.posterior import Noise, Reparameterised
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind

SUPPORTS = ("gaussian", "mixture", "two_layer", "flow", "convdraw")
OBJECTIVES = ("elbo", "iwae")
UNBIASED = ("elbo",)


def terms(posterior: Reparameterised, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] whose log q carries no gradient but the one through z."""
    require_kind("path", SUPPORTS, posterior)
    z = posterior.rsample(noise)
    return assemble(posterior, log_joint(z), posterior.frozen().log_prob(z))
