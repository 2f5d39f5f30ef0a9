"""Terms whose divergence from the standard prior is exact: shared by the estimators for which
only the gradient of E_q log p(x | z) is a matter of choice.

The first form of the ELBO in Kingma and Welling, "Auto-Encoding Variational Bayes" (ICLR 2014),
equation 3: E_q log p(x | z) - KL(q || p).
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from paper_repro.distributions.posterior import Noise, Posterior, Standard
from paper_repro.estimators.terms import Terms, checked, with_gradient


class Family(Posterior, Standard, Protocol):
    """A posterior with a standard prior: Gaussian, Bernoulli or categorical."""

    def mean_z(self) -> Tensor:
        """E z: [*batch, D]."""


class Discrete(Family, Protocol):
    """Bernoulli or categorical."""

    def relaxed(self, noise: Noise, temperature: float | Tensor) -> Tensor:
        """A sample [K, *batch, D] between the codes, differentiable; `sample` is its limit."""


def analytic_kl(posterior: Family, z: Tensor, densities: tuple[Tensor, Tensor]) -> Terms:
    """Terms [K, *batch] at z [K, *batch, D], given (log p(x | z), log p(z)) there.

    log p(z) has no gradient, log q the gradient of KL(q || standard prior), and log p(x | z) keeps
    its own. The prior must be the standard one: parameters of its own would go untrained.
    """
    value = posterior.frozen().log_prob(z.detach())
    log_likelihood, log_prior, _ = checked(densities, value)
    log_posterior = with_gradient(value, posterior.kl_standard())
    return Terms(log_likelihood, log_prior.detach(), log_posterior)
