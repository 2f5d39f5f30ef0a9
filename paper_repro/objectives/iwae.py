"""IWAE: the log of the mean over samples of the weight p(x, z) / q(z | x) (Burda et al. 2016).

Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (ICLR 2016), equation 8. Not
defined here for mixtures: their terms are already averaged over components, and a mean of logs
is no log of a mean.
"""

from __future__ import annotations

import math

from torch import Tensor

from paper_repro.distributions.posterior import Posterior
from paper_repro.estimators.terms import Terms

SUPPORTS = ("gaussian", "bernoulli", "categorical", "two_layer", "flow", "convdraw")


def bound(terms: Terms, posterior: Posterior) -> Tensor:
    """The bound in nats, to be maximised: [K, *batch] -> [*batch]."""
    log_weights = terms.log_likelihood + terms.log_prior - terms.log_posterior
    return log_weights.logsumexp(0) - math.log(log_weights.shape[0])
