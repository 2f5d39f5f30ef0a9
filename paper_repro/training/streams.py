"""Random number streams named by purpose: common random numbers for every method.

A stream depends on the seed and on names such as ("init", "mnist"), never on the estimator, so
that two estimators see the same initial weights, data order and noise and can be compared in
pairs (common random numbers; Glasserman, Monte Carlo Methods in Financial Engineering, 2003,
section 4.2). Streams of different names are independent, so drawing more from one of them
disturbs no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Generator, Tensor


def stream(seed: int, *names: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator on `device` that is a function of `seed` and `names` alone.

    Purposes in use: "init" (always on the CPU, so that weights are the same on every device),
    "order", "noise" and "evaluation".
    """
    digest = hashlib.sha256(json.dumps([int(seed), *names]).encode()).digest()
    generator = torch.Generator(device)
    generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)  # 63 bits: never negative
    return generator


def standard_normal(
    shapes: Mapping[str, tuple[int, ...]],
    generator: Generator,
    count: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Noise of the given shapes on the generator's device, with `count` draws along a new leading
    axis."""
    lead = () if count is None else (count,)
    return {
        name: torch.randn(
            (*lead, *shape), generator=generator, device=generator.device, dtype=dtype
        )
        for name, shape in shapes.items()
    }
