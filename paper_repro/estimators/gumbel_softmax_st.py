"""Straight-through Gumbel-Softmax: hard samples forward, relaxed ones backward (Jang et al. 2017).

Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017), section 2.2.
The decoder sees codes that exist, so all values are true; the gradient that reaches a code goes on
through the relaxed sample of the same noise, although it was taken elsewhere. Biased: for one bit
the limit of temperature zero has the average of the likelihood's slopes at the two codes in place
of the slope of the chord between them, right where it is quadratic in z (our derivation).
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Discrete, analytic_kl
from paper_repro.estimators.terms import LogJoint, Terms, require_kind, with_gradient

SUPPORTS = ("bernoulli", "categorical")
OBJECTIVES = ("elbo",)
UNBIASED = ()
PRIORS = ("standard",)
OPTIONS = {"temperature": 0.5}
RULES = {"temperature": {"exclusiveMinimum": 0}}


def terms(
    posterior: Discrete, log_joint: LogJoint, noise: Noise, *, temperature: float | Tensor
) -> Terms:
    """Terms [K, *batch] at hard samples; `temperature` as for `gumbel_softmax`."""
    require_kind("gumbel_softmax_st", SUPPORTS, posterior)
    z = with_gradient(posterior.sample(noise), posterior.relaxed(noise, temperature))
    return analytic_kl(posterior, z, log_joint(z))
