"""A bound on the log-density of an image as bits per dimension."""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor

from paper_repro.metrics.checks import require_finite

Number = TypeVar("Number", float, Tensor)


def bits_per_dim(bound: Number, dims: int, *, bin_width: float = 1 / 256) -> Number:
    """Bits per dimension of a log-density bound in nats/image: (-bound / dims - ln width) / ln 2.

    `dims` is the number of values of an image, channels included. A density p on pixels that
    are `bin_width` apart gives a level the probability p * width: the default is 256 levels on
    [0, 1], where it reads (-bound / dims + ln 256) / ln 2; use 2 / 256 for pixels on [-1, 1], and
    1 for a likelihood that is a probability already (Bernoulli).
    It bounds the code length of the levels where noise fills the bins (Theis, van den Oord and
    Bethge, "A note on the evaluation of generative models", ICLR 2016, section 3.1).
    """
    if dims < 1:
        raise ValueError(f"dims: {dims} is not a number of pixels")
    if not 0 < bin_width < math.inf:
        raise ValueError(f"bin_width: {bin_width} is not positive")
    if isinstance(bound, Tensor):
        require_finite("bound", bound)
    elif not math.isfinite(bound):
        raise ValueError(f"bound: {bound} is not finite")
    return (-bound / dims - math.log(bin_width)) / math.log(2)
