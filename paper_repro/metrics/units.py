"""Active latent units, by three rules that differ: Burda et al. (2016), Dai et al. (2021), rank.

Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (ICLR 2016), section 5.2, ask
whether the posterior mean moves with the image; Dai, Wenliang and Wipf, "On the Value of Infinite
Gradients in VAE Models" (NeurIPS 2021), whether the posterior variance is below the prior's. All
counts have unit 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.metrics.checks import require_matrix

THRESHOLD = 0.01
VARIANCE_THRESHOLDS = (0.1, 0.5, 0.9)  # near 1 the rule is ambiguous: report all (our choice)
RANK_TOLERANCE = 0.01


def active_units(means: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Var_x(E[z_j|x]) > threshold: bool [D] from posterior means [N, D] of N >= 2 images."""
    require_matrix("means", means, rows=2)
    return means.var(0) > threshold


def informative_units(variances: Tensor, threshold: float) -> Tensor:
    """mean_x Var(z_j|x) < threshold: bool [D] from posterior variances [N, D]; prior N(0, I).

    Raises ValueError at a negative variance (a log-scale, most likely).
    """
    require_matrix("variances", variances, rows=1)
    if bool((variances < 0).any()):
        raise ValueError(f"variances: smallest is {float(variances.min()):.3g}, below zero")
    return variances.mean(0) < threshold


def effective_rank(means: Tensor, tolerance: float = RANK_TOLERANCE) -> int:
    """Number of eigenvalues of Cov_x(E[z|x]) above `tolerance` times the largest.

    means [N, D]. Unlike the count of active units it sees units that carry the same information.
    It is free of scale, so that it ranks the noise of a posterior that has collapsed altogether:
    read it beside `active_units`. The tolerance, 0.01, is our choice.
    """
    require_matrix("means", means, rows=2)
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance: {tolerance} is not between 0 and 1")
    centred = means.double() - means.double().mean(0)
    eigenvalues = torch.linalg.svdvals(centred).square()
    return int((eigenvalues > tolerance * eigenvalues.max()).sum())
