"""What the three score-function estimators share: they differ in the baseline alone.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning" (Machine Learning 8, 1992): d E_q[R] = E_q[(R - b) d log q] for any b that does not
depend on the draw, here with R = log p(x | z). The divergence from the prior is not part of the
reward: its gradient is exact (our choice, also of `silent` and the relaxed estimators).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from paper_repro.distributions.posterior import Noise
from paper_repro.estimators.analytic_kl import Family, analytic_kl
from paper_repro.estimators.terms import LogJoint, Terms, with_gradient


def score_terms(
    posterior: Family, log_joint: LogJoint, noise: Noise, advantage: Callable[[Tensor], Tensor]
) -> Terms:
    """Terms [K, *batch] whose likelihood has the decoder's gradient plus advantage times score.

    `advantage` maps rewards [K, *batch], in nats and without gradient, to rewards less a baseline.
    """
    z = posterior.sample(noise)
    terms = analytic_kl(posterior, z, log_joint(z))
    weight = advantage(terms.log_likelihood.detach())
    source = terms.log_likelihood + weight * posterior.log_prob(z)
    return terms._replace(log_likelihood=with_gradient(terms.log_likelihood, source))
