"""ELBO: the mean over samples of log p(x, z) - log q(z | x) (Kingma and Welling 2014).

Kingma and Welling, "Auto-Encoding Variational Bayes" (ICLR 2014), equation 2.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions.posterior import Posterior
from paper_repro.estimators.terms import Terms

SUPPORTS = ("gaussian", "bernoulli", "categorical", "mixture", "two_layer", "flow", "convdraw")


def bound(terms: Terms, posterior: Posterior) -> Tensor:
    """The bound in nats, to be maximised: [K, *batch] -> [*batch]."""
    return (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean(0)
