"""RLOO: the score function, each sample's baseline the mean reward of the K - 1 others (Kool 2019).

Kool, van Hoof and Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!" (ICLR 2019 workshop
Deep RL Meets Structured Prediction). The others are independent of the sample, so the estimator is
unbiased, and their baseline belongs to the image and the step at hand. For the ELBO; VIMCO (Mnih
and Rezende, ICML 2016) is the counterpart for the log of a mean.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Family
from paper_repro.estimators.score import score_terms
from paper_repro.estimators.terms import LogJoint, Terms, require_kind

SUPPORTS = ("gaussian", "bernoulli", "categorical")
OBJECTIVES = ("elbo",)
PRIORS = ("standard",)
MIN_SAMPLES = 2


def terms(posterior: Family, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch]; the KL is exact. ValueError for K = 1."""
    require_kind("rloo", SUPPORTS, posterior)
    return score_terms(posterior, log_joint, noise, _less_the_others)


def _less_the_others(reward: Tensor) -> Tensor:
    """Rewards [K, *batch] less the mean of the other K - 1: K/(K-1) times what exceeds the mean."""
    samples = reward.shape[0]
    if samples < MIN_SAMPLES:
        raise ValueError(f"noise: estimator 'rloo' needs K >= 2 samples, got K = {samples}")
    return (reward - reward.mean(0)) * (samples / (samples - 1))
