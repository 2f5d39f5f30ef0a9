"""Path derivative as in the code released with the paper, for two stochastic layers.

Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017), repository geoffroeder/iwae. It
detaches mean and scale of q(h2 | h1), which also cuts the path from h1 into them. Unbiased for
the ELBO, but at q = p the gradient of the first layer keeps a variance (our derivation); compare
`path`, which detaches the weights alone.
"""

from __future__ import annotations

from paper_repro.distributions.posterior import Noise
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind

SUPPORTS = ("two_layer",)
OBJECTIVES = ("elbo", "iwae")
UNBIASED = ("elbo",)


def terms(posterior: TwoLayer, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] with the outputs of q(h2 | h1)'s network detached inside log q."""
    require_kind("path_code", SUPPORTS, posterior)
    z = posterior.rsample(noise)
    return assemble(posterior, log_joint(z), posterior.frozen(variant="code").log_prob(z))
