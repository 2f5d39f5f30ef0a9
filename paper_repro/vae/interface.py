"""What a VAE offers to the task that trains it and to the protocols that measure it.

Every method takes the weights it is to use, a dictionary of what is trained, ``encoder.*``,
``decoder.*``, ``likelihood.*`` and so on, and of the networks' buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

from torch import Generator, Tensor

from paper_repro.contracts import Likelihood, Shape, Tensors
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint

Weights = Mapping[str, Tensor]
Init = Callable[..., Generator]  # names of a part of the model -> CPU generator of its weights


class Images(NamedTuple):
    """What a model must know of its training images: their shape [C, H, W], the mean image
    [C*H*W], the variance of all pixels about it, and how many planes of condition come with one."""

    shape: Shape
    mean: Tensor
    variance: float
    condition_planes: int = 0


class VAE(Protocol):
    """A variational autoencoder: architecture and initial weights."""

    shape: Shape
    pixels: int
    likelihood: Likelihood

    def to(self, device: str) -> Self:
        """Move the initial weights and the constants."""

    def parameters_by_name(self) -> Tensors:
        """The initial weights, as leaves that require grad."""

    def buffers_by_name(self) -> Tensors:
        """Copies of the networks' initial buffers."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Within this block networks are in evaluation mode and nothing has a gradient."""

    def noise_shapes(self, k: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Standard-normal noise of K samples of a batch, by name."""

    def posterior(self, weights: Weights, x: Tensor, condition: Tensor | None = None) -> Any:
        """q(z|x) of images x [B, pixels], given condition [B, planes * H * W] or none."""

    def log_prior(self, weights: Weights, posterior: Any) -> Callable[[Any], Tensor]:
        """z -> log p(z) in nats, [K, B]."""

    def log_joint(
        self,
        weights: Weights,
        x: Tensor,
        posterior: Any,
        show: Callable[[Tensor], None] | None = None,
    ) -> LogJoint:
        """z -> (log p(x|z), log p(z)) in nats, [K, B] each; `show` is called with E[x|z]."""

    def mean(self, weights: Weights, z: Any) -> Tensor:
        """E[x|z] [K, B, pixels]."""

    def rate(self, weights: Weights, posterior: Any, z: Any) -> Tensor:
        """KL(q(z|x) || p(z)) in nats [B]: exact, or at the one draw z [1, B, ...]."""

    def prior_means(
        self, weights: Weights, noise: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """E[x|z] [n, pixels] of draws of z from the prior: noise [n, ...] standard normal."""


class Frozen(Protocol):
    """A classifier trained beforehand, differentiable in its input alone."""

    def probabilities(self, images: Tensor) -> Tensor:
        """[..., B, D] -> [..., B, classes]."""

    def features(self, images: Tensor) -> Tensor:
        """[..., B, D] -> [..., B, F], divided by their RMS over the data."""


@dataclass(frozen=True)
class Look:
    """The classifier that a cell asks for, with the one-hot labels of its data by split."""

    network: Frozen
    labels: Mapping[str, Tensor]


def entries(prefix: str, tensors: Weights) -> Tensors:
    """The entries ``prefix.*`` under their names without it."""
    start = prefix + "."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def prefixed(prefix: str, tensors: Weights) -> Tensors:
    """The same tensors under the names ``prefix.*``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


@contextmanager
def naming(parameter: str) -> Iterator[None]:
    """Turn a part's refusal into a mistake of the user in this parameter of the cell."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UserError(f"{parameter}: {error}") from error
