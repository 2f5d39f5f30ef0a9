"""AUROC of an outlier score: the probability that an outlier scores above an inlier.

The Mann-Whitney form of the area, ties counted half (Hanley and McNeil, Radiology 1982). Dai,
Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021), section 2.2,
score an image by its reconstruction error.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.metrics.checks import require_finite


def auroc(inliers: Tensor, outliers: Tensor) -> float:
    """P(outlier > inlier) + P(equal) / 2 from scores [N] and [M]; higher means more outlying.

    Unit 1: 0.5 is chance. Raises ValueError for empty, non-finite or not one-dimensional scores.
    """
    for name, scores in (("inliers", inliers), ("outliers", outliers)):
        if scores.ndim != 1:
            raise ValueError(f"{name}: need one score an image [N], got {list(scores.shape)}")
        require_finite(name, scores)
    dtype = torch.promote_types(inliers.dtype, outliers.dtype)
    ranked, others = inliers.to(dtype).sort().values, outliers.to(dtype)
    below = torch.searchsorted(ranked, others)
    not_above = torch.searchsorted(ranked, others, right=True)
    return float((below + not_above).double().mean()) / (2 * len(inliers))
