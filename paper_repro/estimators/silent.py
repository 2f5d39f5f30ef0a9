"""Silent gradient: the expectation under q in closed form, no samples (Shao et al. 2025).

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587): for a linear decoder
E_q log p(x | z) is a polynomial of central moments of q (or a moment generating function), so the
ELBO and its gradient are exact. Nothing is drawn: the estimator's variance is zero.
"""

from __future__ import annotations

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Family
from paper_repro.estimators.terms import ExpectedLogJoint, Terms, require_kind

SUPPORTS = ("gaussian", "bernoulli", "categorical")
OBJECTIVES = ("elbo",)
PRIORS = ("standard",)
MODELS = ("linear",)
LIKELIHOODS = ("gaussian", "gaussian_gamma", "gaussian_pixel")


def terms(posterior: Family, log_joint: ExpectedLogJoint, noise: Noise) -> Terms:
    """Terms [1, *batch]: E_q log p(x | z), E_q log p(z) and E_q log q(z); `noise` is not read.

    ValueError if `log_joint` has no `expected_log_likelihood`.
    """
    require_kind("silent", SUPPORTS, posterior)
    if not isinstance(log_joint, ExpectedLogJoint):
        raise ValueError(
            "log_joint: estimator 'silent' needs its expected_log_likelihood(posterior), "
            "which a linear decoder has and other decoders do not"
        )
    log_likelihood = log_joint.expected_log_likelihood(posterior)
    negative_entropy = -posterior.entropy()
    if log_likelihood.shape != negative_entropy.shape:
        raise ValueError(
            f"log_joint: its expected_log_likelihood has shape {list(log_likelihood.shape)}, "
            f"expected {list(negative_entropy.shape)}"
        )
    log_prior = negative_entropy - posterior.kl_standard()
    return Terms(*(t.unsqueeze(0) for t in (log_likelihood, log_prior, negative_entropy)))
