"""What every latent posterior offers, whatever its family.

Axes. K importance samples come first, then the batch axes (usually one, B; none for a toy with a
single target), then the latent dimension D: z is [K, *batch, D] and log-densities are
[K, *batch]. A mixture puts its component axis C before K, so that anything written for
[K, *batch, D] broadcasts unchanged; `expect` integrates that axis out again.

Noise. All noise is standard normal, one named tensor per entry of `noise_shapes`; drawing it
outside keeps posteriors pure functions that run under `torch.vmap` and lets estimators share
common random numbers. Discrete families turn it into logistic or Gumbel noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

from torch import Tensor

Latent = Any  # a tensor, or the tuple (h1, h2) of a layered posterior

Noise = Mapping[str, Tensor]


class Posterior(Protocol):
    """A q(z | x) whose parameters are explicit tensors."""

    kind: ClassVar[str]

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of the standard-normal noise that a draw takes for K = samples."""

    def log_prob(self, z: Latent) -> Tensor:
        """log q(z), summed over D: [K, *batch] (a mixture's own samples: [C, K, *batch])."""

    def frozen(self) -> Self:
        """The same density with parameters detached; z passed to `log_prob` stays live."""

    def expect(self, values: Tensor) -> Tensor:
        """Integrate what `rsample` stratified (a mixture's component axis); else the identity."""


class Reparameterised(Posterior, Protocol):
    """A posterior whose draws pass on a gradient: any but the discrete ones."""

    def rsample(self, noise: Noise) -> Latent:
        """z = t(noise, parameters), differentiable in the parameters."""


class Standard(Protocol):
    """What a family with a standard prior offers besides: N(0, I), fair coins, fair dice."""

    def sample(self, noise: Noise) -> Tensor:
        """z [K, *batch, D] without gradient."""

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) under the standard prior, summed over D: [K, *batch]."""

    def entropy(self) -> Tensor:
        """H[q] in nats, exact: [*batch]."""

    def kl_standard(self) -> Tensor:
        """KL(q || standard prior) in nats, exact: [*batch]."""

    def scaled(self, weight: float | Tensor) -> Self:
        """The same posterior, whose parameters receive `weight` times their gradient."""


def require_noise(
    noise: Noise, name: str, shape: tuple[int, ...], *, samples_at: int = 0
) -> Tensor:
    """noise[name], checked against `shape` on every axis but the sample axis."""
    if name not in noise:
        raise ValueError(f"noise: no entry {name!r}, found {sorted(noise)}")
    found = tuple(noise[name].shape)
    if len(found) != len(shape) or any(
        a != b for axis, (a, b) in enumerate(zip(found, shape, strict=True)) if axis != samples_at
    ):
        expected = ["K" if axis == samples_at else n for axis, n in enumerate(shape)]
        raise ValueError(f"noise[{name!r}]: shape {list(found)}, expected {expected}")
    return noise[name]


def require_trailing(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError naming the argument unless `tensor` ends in `shape`."""
    if tensor.ndim < len(shape) or tuple(tensor.shape[tensor.ndim - len(shape) :]) != shape:
        raise ValueError(f"{name}: shape {list(tensor.shape)} must end in {list(shape)}")


def scale_gradient(value: Tensor, weight: float | Tensor) -> Tensor:
    """`value` itself; the gradient that passes through it is multiplied by `weight`."""
    scaled = weight * value
    return value.detach() + (scaled - scaled.detach())
