"""No sampling: the likelihood at the posterior mean, no divergence (a plain autoencoder).

The code z = mu_z(x) of the generic autoencoder objective of Dai, Wenliang and Wipf, "On the Value
of Infinite Gradients in VAE Models" (NeurIPS 2021), equation 7, whose penalty on z is the
objective's business.
"""

from __future__ import annotations

import torch

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.terms import LogJoint, Terms, checked, require_kind

SUPPORTS = ("gaussian",)
OBJECTIVES = ("autoencoder",)


def terms(posterior: DiagonalGaussian, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [1, *batch]: log p(x | z) at z = E z, and zeros; `noise` is not read."""
    require_kind("deterministic", SUPPORTS, posterior)
    z = posterior.mean_z().unsqueeze(0)
    zero = torch.zeros_like(z[..., 0])
    log_likelihood, _, _ = checked(log_joint(z), zero)
    return Terms(log_likelihood, zero, zero)
