"""BILBO with moments about the batch's mean: the fitted prior has a mean of its own (a variant).

Fyffe, "There and Back Again" (arXiv 1912.10309), in its public implementation takes moments about
zero (`bilbo`); this is the variant that does not: the rate is 1/2 sum_j log(1 + var_j / v), the
batch average of the KL to N(m, diag(var + v)), and never above that of `bilbo`.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.distributions import aggregate
from paper_repro.distributions.aggregate import Aggregate, NormalPrior
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms, require_kind
from paper_repro.objectives.bilbo import batch_information

SUPPORTS = ("gaussian",)
LIKE = "elbo"
PROTOCOLS = ("frozen",)


def bound(terms: Terms, posterior: DiagonalGaussian) -> Tensor:
    """Mean over K of log p(x | z), less the centred information: [K, *batch] -> [*batch]."""
    require_kind("bilbo_centred", SUPPORTS, posterior)
    mean = posterior.mean
    centred = mean - mean.flatten(0, -2).mean(0)
    return terms.log_likelihood.mean(0) - batch_information(
        centred, (2 * posterior.log_scale).exp()
    )


def prior(codes: Aggregate) -> NormalPrior:
    """N(E mu, diag(var mu + E v)) of a whole set's moments."""
    return aggregate.best_diagonal(codes)
