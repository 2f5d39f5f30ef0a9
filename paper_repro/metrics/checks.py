"""Refusals that the metrics share: a NaN or a wrong shape is an error, not a number."""

from __future__ import annotations

from torch import Tensor


def require_finite(name: str, tensor: Tensor) -> None:
    """ValueError naming the argument where an entry is NaN or infinite, or there is none."""
    if not tensor.numel():
        raise ValueError(f"{name}: empty, shape {list(tensor.shape)}")
    if bad := int((~tensor.isfinite()).sum()):
        raise ValueError(f"{name}: {bad} of {tensor.numel()} values are NaN or infinite")


def require_matrix(name: str, tensor: Tensor, rows: int) -> None:
    """ValueError naming the argument unless it is a finite [N >= rows, D]."""
    if tensor.ndim != 2 or len(tensor) < rows:
        raise ValueError(f"{name}: need [N >= {rows}, D], got {list(tensor.shape)}")
    require_finite(name, tensor)


def require_same_shape(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    """ValueError naming both arguments where their shapes differ."""
    if tensor.shape != other.shape:
        raise ValueError(
            f"{name}: shape {list(tensor.shape)} differs from {other_name}'s {list(other.shape)}"
        )
