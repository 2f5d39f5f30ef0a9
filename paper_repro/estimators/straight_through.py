"""Straight-through: a hard sample, differentiated as if it were its mean (Bengio et al. 2013).

Bengio, Leonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation" (arXiv 1308.3432), section 4: dz / d(mean) is taken to be one. Of the
variants there, the one whose gradient goes on through the sigmoid (the softmax of a group). Exact
for a likelihood linear in z; for a linear-Gaussian decoder it loses, in d/dp_i of
E log p(x | z), the term -(1 - 2 p_i) ||W_i||^2 / (2 sigma^2) (our derivation).
"""

from __future__ import annotations

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Discrete, analytic_kl
from paper_repro.estimators.terms import LogJoint, Terms, require_kind, with_gradient

SUPPORTS = ("bernoulli", "categorical")
OBJECTIVES = ("elbo",)
UNBIASED = ()
PRIORS = ("standard",)


def terms(posterior: Discrete, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] at hard samples; the KL is exact."""
    require_kind("straight_through", SUPPORTS, posterior)
    z = with_gradient(posterior.sample(noise), posterior.mean_z())
    return analytic_kl(posterior, z, log_joint(z))
