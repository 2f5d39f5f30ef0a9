"""Gumbel-Softmax: a sample relaxed to the inside of the simplex, differentiated (Jang et al. 2017).

Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", equation 2; at the same
time Maddison, Mnih and Teh, "The Concrete Distribution" (both ICLR 2017). For bits the binary
concrete distribution. Biased: the likelihood is that of a relaxed code. The bias falls with the
temperature while the variance grows. The divergence is that of the discrete q, not of its
relaxation.

An exception among estimators: the VALUE of log p(x | z) is the one at the relaxed code too, which
no discrete model has. Report bounds with hard samples.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Discrete, analytic_kl
from paper_repro.estimators.terms import LogJoint, Terms, require_kind

SUPPORTS = ("bernoulli", "categorical")
OBJECTIVES = ("elbo",)
UNBIASED = ()
PRIORS = ("standard",)
OPTIONS = {"temperature": 0.5}
RULES = {"temperature": {"exclusiveMinimum": 0}}


def terms(
    posterior: Discrete, log_joint: LogJoint, noise: Noise, *, temperature: float | Tensor
) -> Terms:
    """Terms [K, *batch]: the likelihood at relaxed codes, log q at the codes they are relaxed from.

    `temperature` is a positive number or a 0-d tensor (a schedule), else ValueError.
    """
    require_kind("gumbel_softmax", SUPPORTS, posterior)
    relaxed = posterior.relaxed(noise, temperature)
    return analytic_kl(posterior, posterior.sample(noise), log_joint(relaxed))
