"""Score function without a baseline: log p(x | z) times the score of q (Williams 1992).

"Simple statistical gradient-following algorithms for connectionist reinforcement learning"
(Machine Learning 8), baseline zero. Needs no derivative of the decoder in z, hence serves discrete
latents; unbiased, with a variance that grows with the square of log p(x | z) itself.
"""

from __future__ import annotations

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Family
from paper_repro.estimators.score import score_terms
from paper_repro.estimators.terms import LogJoint, Terms, require_kind

SUPPORTS = ("gaussian", "bernoulli", "categorical")
OBJECTIVES = ("elbo",)
PRIORS = ("standard",)


def terms(posterior: Family, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] at draws through which nothing is differentiated; the KL is exact."""
    require_kind("score_function", SUPPORTS, posterior)
    return score_terms(posterior, log_joint, noise, lambda reward: reward)
