"""The score as a control variate: total derivative plus c times the score of q.

Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017): c = 0 is the total derivative, c = 1
the path derivative; in between, or scheduled, our choice of extension. Unbiased for the ELBO with
any c that does not depend on the sample. For a Gaussian q fitted to a Gaussian target of variance
s_p^2 the best constant is c = s^2 / s_p^2 (our derivation).
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Noise, Reparameterised
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind

SUPPORTS = ("gaussian", "mixture", "two_layer", "flow")
OBJECTIVES = ("elbo",)
OPTIONS = {"c": 0.3}


def terms(
    posterior: Reparameterised, log_joint: LogJoint, noise: Noise, *, c: float | Tensor
) -> Terms:
    """Terms [K, *batch]; `c` is a number or a 0-d tensor (a schedule, a running estimate)."""
    require_kind("control_variate", SUPPORTS, posterior)
    if isinstance(c, Tensor) and c.ndim:
        raise ValueError(f"c: a number or a 0-d tensor, got shape {list(c.shape)}")
    z = posterior.rsample(noise)
    log_posterior = (1 - c) * posterior.log_prob(z) + c * posterior.frozen().log_prob(z)
    return assemble(posterior, log_joint(z), log_posterior)
