"""What each kind of part offers to those who use it, as types; posteriors' stand beside them.

A part is a module. Below each type is the function that imports one by name; what a module does not
declare has the value in DEFAULTS, so that a part says only what sets it apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from torch import Generator, Tensor, nn

from paper_repro import registry
from paper_repro.distributions.posterior import Noise, Posterior
from paper_repro.estimators.terms import Terms

Tensors = dict[str, Tensor]
Shape = tuple[int, int, int]  # of an image, [C, H, W]
DEFAULTS: dict[str, dict[str, Any]] = {
    "estimators": {"OPTIONS": {}, "STATE": {}, "MIN_SAMPLES": 1},
    "objectives": {"OPTIONS": {}, "CONSTRAINED": False, "FITS_PRIOR": False, "READS_PIXELS": False,
                   "LIKE": ""},
    "likelihoods": {"DENSITY": True, "LINEAR_FORM": "", "SOLVES_VARIANCE": False,
                    "init_params": dict},
    "models": {"NETWORKS": "model"},
}  # fmt: skip


class Estimator(Protocol):
    """A gradient estimator: the values of a bound's three terms, with the gradient it stands for.

    OPTIONS are its settings with their defaults, STATE what it remembers from step to step and
    where that starts (0-d), which `advance(terms, **state)` moves on, MIN_SAMPLES the least K,
    OBJECTIVES those it serves, UNBIASED those of them whose gradient it estimates without bias (by
    default all), SUPPORTS kinds of posterior.
    """

    SUPPORTS: tuple[str, ...]
    OBJECTIVES: tuple[str, ...]
    UNBIASED: tuple[str, ...]
    OPTIONS: Mapping[str, Any]
    STATE: Mapping[str, float]
    MIN_SAMPLES: int
    advance: Callable[..., Tensors]

    def terms(self, posterior: Any, log_joint: Any, noise: Noise, **options: Any) -> Terms:
        """log p(x|z), log p(z) and log q(z|x), each [K, *batch]."""


class Objective(Protocol):
    """What is maximised. CONSTRAINED: its likelihood is a `ConstrainedJoint`. FITS_PRIOR: it has
    `fitted_prior(mean, variance)` and `rate(posterior, log_scale)`. READS_PIXELS: its bound takes
    the number of pixels. LIKE: the objective whose estimators serve it, "" for its own name."""

    OPTIONS: Mapping[str, Any]
    CONSTRAINED: bool
    FITS_PRIOR: bool
    READS_PIXELS: bool
    LIKE: str
    fitted_prior: Callable[[Tensor, Tensor], Tensor]
    rate: Callable[[Any, Tensor], Tensor]

    def bound(self, terms: Terms, posterior: Posterior, **options: Any) -> Tensor:
        """[K, *batch] terms -> [*batch]."""


class Likelihood(Protocol):
    """p(x|z) given a decoder's OUTPUTS raw outputs a pixel.

    DENSITY: False for an energy that no bound on log p(x) can be made of. LINEAR_FORM: how its
    variance is written where a linear decoder has a closed form, "fixed", "head" (as the cell's
    `variance_form`) or "" where it has none. SOLVES_VARIANCE: a variance of every batch, so that it
    has `variance(x, output)` and `frozen_log_likelihood(x, output, variance)`. `init_params()`:
    learned scalars, none in most.
    """

    OUTPUTS: int
    OPTIONS: Mapping[str, Any]
    DENSITY: bool
    LINEAR_FORM: str
    SOLVES_VARIANCE: bool
    init_params: Callable[[], Tensors]
    variance: Callable[..., Tensor]
    frozen_log_likelihood: Callable[..., Tensor]

    def log_likelihood(
        self, x: Tensor, output: Tensor, params: Mapping[str, Tensor], **options: Any
    ) -> Tensor:
        """log p(x|z) in nats: x [B, D], output [..., B, OUTPUTS * D] -> [..., B]."""

    def mean(self, output: Tensor, **options: Any) -> Tensor:
        """E[x|z]: [..., D]."""


class Networks(Protocol):
    """Networks of one architecture. SIZES are their settings with defaults; NETWORKS names the
    module of room `vae` that puts them together."""

    SIZES: Mapping[str, Any]
    NETWORKS: str

    def encoder(self, shape: Shape, outputs: int, init: Generator, **sizes: Any) -> nn.Module:
        """[..., C*H*W] -> [..., outputs]."""

    def decoder(
        self, latent: int, shape: Shape, outputs: int, init: Generator, **sizes: Any
    ) -> nn.Module:
        """[..., latent] -> [..., outputs * C*H*W]."""


class Family(Protocol):
    """A family of posteriors that an encoder's output [B, head] parameterises."""

    OPTIONS: Mapping[str, Any]

    def head_size(self, dim: int, **options: Any) -> int:
        """Outputs that the encoder needs for `dim` latents."""

    def from_head(self, head: Tensor, **options: Any) -> Any:
        """The posterior of encoder outputs [B, head]."""


def estimator(name: str) -> Estimator:
    """The estimator `name`."""
    return cast(Estimator, _load("estimators", name))


def objective(name: str) -> Objective:
    """The objective `name`."""
    return cast(Objective, _load("objectives", name))


def likelihood(name: str) -> Likelihood:
    """The likelihood `name`."""
    return cast(Likelihood, _load("likelihoods", name))


def networks(name: str) -> Networks:
    """The networks of model `name`."""
    return cast(Networks, _load("models", name))


def family(name: str) -> Family:
    """The family of posteriors `name`."""
    return cast(Family, _load("latents", name))


def _load(room: str, name: str) -> Any:
    module = registry.load(room, name)
    for key, value in DEFAULTS.get(room, {}).items():
        vars(module).setdefault(key, value)
    if room == "estimators":
        vars(module).setdefault("UNBIASED", module.OBJECTIVES)
    return module
