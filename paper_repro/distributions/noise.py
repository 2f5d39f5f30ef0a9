"""Logistic and Gumbel noise from standard-normal noise, by inverting their cumulative functions.

Maddison, Mnih and Teh, "The Concrete Distribution" (ICLR 2017), and Jang, Gu and Poole,
"Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017), relax discrete samples with
them. Both tails are kept apart, so that neither log(0) nor 1 - 1 can occur in float32; erfc is
used because `torch.special.log_ndtr` has no batching rule for `torch.vmap`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def logistic(normal: Tensor) -> Tensor:
    """Standard logistic noise of the shape of `normal`: log u - log(1 - u), u = Phi(normal)."""
    tail = _tail(normal)
    return normal.sign() * (torch.log1p(-tail) - tail.log())


def gumbel(normal: Tensor) -> Tensor:
    """Standard Gumbel noise of the shape of `normal`: -log(-log u), u = Phi(normal)."""
    tail = _tail(normal)
    return -(-torch.where(normal < 0, tail.log(), torch.log1p(-tail))).log()


def require_temperature(temperature: float | Tensor) -> None:
    """ValueError unless `temperature` is a positive number or a 0-d tensor (a schedule)."""
    if isinstance(temperature, Tensor):
        if temperature.ndim:
            raise ValueError(
                f"temperature: a number or a 0-d tensor, got shape {list(temperature.shape)}"
            )
    elif not temperature > 0:
        raise ValueError(f"temperature: must be positive, got {temperature}")


def _tail(normal: Tensor) -> Tensor:
    """Phi(-|normal|), to full relative precision."""
    return 0.5 * torch.erfc(normal.abs() / math.sqrt(2))
