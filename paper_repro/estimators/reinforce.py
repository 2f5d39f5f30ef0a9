"""REINFORCE: score function with a moving average of past rewards as baseline (Williams 1992).

"Simple statistical gradient-following algorithms for connectionist reinforcement learning"
(Machine Learning 8); the average as in Mnih and Gregor, "Neural Variational Inference and Learning
in Belief Networks" (ICML 2014). One number for all images: the mean of log p(x | z) over samples
and batch, with decay 0.9 (our choice).

The average is that of earlier steps alone, so the estimator is unbiased. It is a weighted mean of
the rewards seen so far, not an average that creeps up from zero: after one step the baseline is
that step's reward. At the first step there is none yet, and the baseline is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Family
from paper_repro.estimators.score import score_terms
from paper_repro.estimators.terms import LogJoint, Terms, require_kind

SUPPORTS = ("gaussian", "bernoulli", "categorical")
OBJECTIVES = ("elbo",)
PRIORS = ("standard",)
STATE = {"reward": 0.0, "weight": 0.0}
DECAY = 0.9


def terms(
    posterior: Family,
    log_joint: LogJoint,
    noise: Noise,
    *,
    reward: float | Tensor,
    weight: float | Tensor,
) -> Terms:
    """Terms [K, *batch]; the baseline is `reward` / `weight`, 0-d sums kept by `advance`."""
    require_kind("reinforce", SUPPORTS, posterior)
    # the weight is 0 before the first step, and 1 or more from then on
    baseline = reward / torch.as_tensor(weight).clamp_min(1)
    return score_terms(posterior, log_joint, noise, lambda found: found - baseline)


def advance(terms: Terms, *, reward: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """The state after a step: decayed sums of rewards in nats, and of ones."""
    found = terms.log_likelihood.detach().mean()
    return {"reward": DECAY * reward + found, "weight": DECAY * weight + 1}
