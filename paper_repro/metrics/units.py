"""Active latent units (Burda et al., 2016, section 5.2): Var_x(E[z_i|x]) above a threshold."""

from __future__ import annotations

from torch import Tensor

THRESHOLD = 0.01


def active_units(means: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Which units are active: bool [D] from posterior means [N, D] of N images."""
    if means.ndim != 2 or len(means) < 2:
        raise ValueError(f"means: need [N >= 2, D], got {list(means.shape)}")
    return means.var(0) > threshold
