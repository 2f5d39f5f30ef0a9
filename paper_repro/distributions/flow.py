"""Affine coupling layers on a standard normal base, as posterior or prior (Dinh et al. 2017).

Dinh, Sohl-Dickstein and Bengio, "Density estimation using Real NVP" (ICLR 2017), equations 7-8.
Each layer keeps every other dimension and shifts and scales the rest by functions of the kept
ones; log-scales are bounded by a tanh so that neither direction can overflow. `log_prob` always
goes through the inverse: the path derivative needs log q at a given z with frozen parameters.

A posterior of one target has nets of one hidden layer. The prior of "Taming VAEs" (Rezende and
Viola 2018) is our reading of its RealNVP: 6 layers, nets of two hidden layers of 256 units, and
`log_prob` of a flow with batch () as log p(z).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from paper_repro.distributions.gaussian import standard_normal_log_prob
from paper_repro.distributions.posterior import Noise, require_noise, require_trailing

COMPONENT = "posterior"

LOG_SCALE_BOUND = 2.0
NAMES = ("weight_in", "bias_in", "weight_out", "bias_out")
DEEP_NAMES = ("weight_hidden", "bias_hidden")  # of nets with more than one hidden layer


def init_params(
    generator: Generator,
    *,
    dim: int,
    layers: int,
    hidden: int,
    depth: int = 1,
    scale: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """Parameters of `layers` coupling layers over `dim` dimensions, Glorot-uniform times `scale`.

    Each layer's net is dim -> tanh hidden (`depth` times) -> (log-scale, shift). Shapes: weight_in
    [layers, dim, hidden], bias_in [layers, hidden], weight_out [layers, hidden, 2 dim], bias_out
    [layers, 2 dim]; for depth > 1 also weight_hidden [layers, depth - 1, hidden, hidden] and
    bias_hidden [layers, depth - 1, hidden]. scale 0 is the identity map. Drawn on the generator's
    device.
    """
    if dim < 2:
        raise ValueError(f"dim: a coupling layer needs at least 2 dimensions, got {dim}")
    if depth < 1:
        raise ValueError(f"depth: a coupling net needs at least 1 hidden layer, got {depth}")

    def uniform(*shape: int) -> Tensor:
        bound = scale * math.sqrt(6 / (shape[-2] + shape[-1]))
        draw = torch.rand(shape, generator=generator, device=generator.device, dtype=dtype)
        return (2 * draw - 1) * bound

    weight_in, weight_out = uniform(layers, dim, hidden), uniform(layers, hidden, 2 * dim)
    params = {
        "weight_in": weight_in,
        "bias_in": weight_in.new_zeros(layers, hidden),
        "weight_out": weight_out,
        "bias_out": weight_in.new_zeros(layers, 2 * dim),
    }
    if depth > 1:
        params["weight_hidden"] = uniform(layers, depth - 1, hidden, hidden)
        params["bias_hidden"] = weight_in.new_zeros(layers, depth - 1, hidden)
    return params


@dataclass(frozen=True)
class Flow:
    """The push-forward of N(0, I) through coupling layers; `params` as made by `init_params`.

    `batch` is the batch shape of its samples: z is [K, *batch, D]. The parameters do not depend
    on the batch (a flow for one target, not an amortised one).
    """

    params: Mapping[str, Tensor]
    batch: tuple[int, ...] = ()

    kind: ClassVar[str] = "flow"

    def __post_init__(self) -> None:
        if set(self.params) not in (set(NAMES), {*NAMES, *DEEP_NAMES}):
            raise ValueError(f"params: names {sorted(self.params)}, expected {sorted(NAMES)}")
        layers, dim, hidden = self.params["weight_in"].shape
        shapes: dict[str, tuple[int, ...]] = {
            "weight_in": (layers, dim, hidden),
            "bias_in": (layers, hidden),
            "weight_out": (layers, hidden, 2 * dim),
            "bias_out": (layers, 2 * dim),
        }
        if self._deep:
            more = self.params["weight_hidden"].shape[1:2]
            shapes["weight_hidden"] = (layers, *more, hidden, hidden)
            shapes["bias_hidden"] = (layers, *more, hidden)
        for name, shape in shapes.items():
            if tuple(self.params[name].shape) != shape:
                found = list(self.params[name].shape)
                raise ValueError(f"params[{name!r}]: shape {found}, expected {list(shape)}")

    @property
    def dim(self) -> int:
        """Number of latent dimensions D."""
        return self.params["weight_in"].shape[1]

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"z": [K, *batch, D]}."""
        return {"z": (samples, *self.batch, self.dim)}

    def rsample(self, noise: Noise) -> Tensor:
        """The flow applied to noise["z"]: [K, *batch, D]."""
        return self.forward(require_noise(noise, "z", (1, *self.batch, self.dim)))[0]

    def sample(self, noise: Noise) -> Tensor:
        """`rsample` without gradient: [K, *batch, D]."""
        return self.rsample(noise).detach()

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats for z [..., D]: [...], by the change of variables at the inverse."""
        require_trailing("z", z, (*self.batch, self.dim))
        base, log_det = self.inverse(z)
        return standard_normal_log_prob(base) + log_det

    def frozen(self) -> Flow:
        """The same flow with its parameters detached."""
        return Flow({name: p.detach() for name, p in self.params.items()}, self.batch)

    def expect(self, values: Tensor) -> Tensor:
        """Nothing is stratified: the values themselves."""
        return values

    def forward(self, base: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |det dz/dbase| at base [..., D]."""
        z, log_det = base, base.new_zeros(base.shape[:-1])
        for layer in range(self.params["weight_in"].shape[0]):
            log_scale, shift = self._coupling(layer, z)
            z = z * log_scale.exp() + shift
            log_det = log_det + log_scale.sum(-1)
        return z, log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """base and log |det dbase/dz| at z [..., D]."""
        base, log_det = z, z.new_zeros(z.shape[:-1])
        for layer in reversed(range(self.params["weight_in"].shape[0])):
            log_scale, shift = self._coupling(layer, base)
            base = (base - shift) * (-log_scale).exp()
            log_det = log_det - log_scale.sum(-1)
        return base, log_det

    @property
    def _deep(self) -> bool:
        return DEEP_NAMES[0] in self.params

    def _coupling(self, layer: int, z: Tensor) -> tuple[Tensor, Tensor]:
        """Log-scale and shift of one layer: zero on the dimensions it keeps."""
        weight_in, bias_in, weight_out, bias_out = (self.params[name][layer] for name in NAMES)
        keep = (torch.arange(self.dim, device=z.device) + layer) % 2
        hidden = torch.tanh((keep * z) @ weight_in + bias_in)
        if self._deep:
            weights, biases = (self.params[name][layer] for name in DEEP_NAMES)
            for weight, bias in zip(weights, biases, strict=True):
                hidden = torch.tanh(hidden @ weight + bias)
        raw, shift = ((1 - keep).repeat(2) * (hidden @ weight_out + bias_out)).chunk(2, -1)
        return LOG_SCALE_BOUND * torch.tanh(raw / LOG_SCALE_BOUND), shift
