"""Minus the squared error ||x - f||^2, an energy and not a density (Rezende and Viola 2018).

"Taming VAEs" (arXiv 1810.00597) writes its RE constraint on it; it is also the data term of the
generic autoencoder objective of Dai, Wenliang and Wipf (NeurIPS 2021, eq. 7). It has no
normaliser: an ELBO made with it is not a bound on log p(x) and compares with none. It equals the
Gaussian log-likelihood of variance 1/2 up to the constant d/2 log pi.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from paper_repro.likelihoods.normal import linked, residual

COMPONENT = "likelihood"
OUTPUTS = 1
DENSITY = False
OPTIONS = {"link": "identity"}
RULES = {"link": {"enum": ["identity", "sigmoid"]}}


def log_likelihood(
    x: Tensor,
    output: Tensor,
    params: Mapping[str, Tensor] | None = None,
    *,
    link: str = "identity",
) -> Tensor:
    """-||x - f||^2 per image: minus sse/image, x [B, D], output [..., B, D] -> [..., B].

    ValueError if shapes do not agree.
    """
    return -residual(x, output, link).square().sum(-1)


def mean(output: Tensor, *, link: str = "identity") -> Tensor:
    """f, the reconstruction: [..., D]."""
    return linked(output, link)
