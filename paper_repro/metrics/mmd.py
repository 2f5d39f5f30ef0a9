"""MMD between latent codes and the prior: the unbiased statistic of WAE.

Tolstikhin et al., "Wasserstein Auto-Encoders" (ICLR 2018), section 4, with the kernels of their
code: sum over s of C / (C + |x - y|^2), C = 2 D s. The within-sample means leave out the
diagonal, so that the expectation is exactly the squared MMD, zero at q(z) = N(0, I), and single
values may be negative. Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models"
(NeurIPS 2021), Figure 4(a), report an MMD without naming kernel or scale; this one is our choice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from paper_repro.metrics.checks import require_matrix

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def mmd(z: Tensor, prior: Tensor, *, block: int = 1000) -> float:
    """Unbiased squared MMD of z [N, D] (one draw of q(z|x) an image) and prior draws [M, D].

    Unit 1: at most 2 * len(SCALES) = 14 and usually far below 1; say so where it is reported
    times 1000. Takes `block` rows at a time, in float64: memory for a [block, max(N, M)] matrix.
    Raises ValueError for fewer than two rows, differing D, NaN.
    """
    for name, tensor in (("z", z), ("prior", prior)):
        require_matrix(name, tensor, rows=2)
    if z.shape[1] != prior.shape[1]:
        raise ValueError(f"prior: {prior.shape[1]} dimensions, but z has {z.shape[1]}")
    z, prior = z.double(), prior.double()
    n, m = len(z), len(prior)
    kernel = _kernel(z.shape[1])
    at_zero = len(SCALES)  # k(x, x): each pair (i, i) is left out

    def total(a: Tensor, b: Tensor) -> float:
        return sum(float(kernel(part, b).sum()) for part in a.split(block))

    within_z = (total(z, z) - n * at_zero) / (n * (n - 1))
    within_prior = (total(prior, prior) - m * at_zero) / (m * (m - 1))
    return within_z + within_prior - 2 * total(z, prior) / (n * m)


def _kernel(dims: int) -> Callable[[Tensor, Tensor], Tensor]:
    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * (a @ b.T)
        distances = squares.clamp_min_(0)
        found = torch.zeros_like(distances)
        for scale in SCALES:
            width = 2 * dims * scale
            found += width / (width + distances)
        return found

    return kernel
