"""Gradient estimators against the exact gradient: bias, cosine, relative variance, norms.

A dictionary of parameters is one vector throughout, the concatenation of its entries; gradients
are those of nats, per unit of each parameter. `Moments` come from `metrics.gradient_stats`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from paper_repro.metrics.checks import require_finite
from paper_repro.metrics.gradient_stats import Moments, covariance_trace


class Bias(NamedTuple):
    """How far the mean of `n` draws lies from the exact gradient, in units of the gradient."""

    vector: dict[str, Tensor]
    """mean - exact, entry by entry."""
    norm: float
    """Euclidean length of the vector."""
    error: float
    """sqrt(trace of covariance / n), the root mean square length of the sampling error of the
    mean. An estimator without bias has a norm of about this size, not zero."""
    relative: float
    """norm / length of the exact gradient; unit 1, infinite where that is zero."""


def bias(stats: Mapping[str, Moments], exact: Mapping[str, Tensor]) -> Bias:
    """The bias of an estimator whose draws have these moments; names and shapes must agree."""
    means = {name: moments.mean for name, moments in stats.items()}
    _require_same_names("stats", means, exact)
    vector = {name: means[name] - exact[name] for name in exact}
    counts = {moments.count for moments in stats.values()}
    if len(counts) != 1:
        raise ValueError(f"stats: entries come from different numbers of draws, {sorted(counts)}")
    norm, length = _length(vector), _length(exact)
    error = math.sqrt(covariance_trace(stats) / counts.pop())
    return Bias(vector, norm, error, norm / length if length else math.inf)


def cosine(gradients: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> Tensor:
    """Cosine of the angle to the exact gradient; unit 1.

    gradients {name: [*lead, *shape]} and exact {name: shape}: [*lead]. Draws have a leading axis,
    a mean has none. Raises ValueError where a gradient is zero: it has no direction.
    """
    _require_same_names("gradients", gradients, exact, trailing=True)
    rows, target = _flat(gradients, exact), _flat(exact, exact)
    lengths = rows.norm(dim=-1) * target.norm()
    if bool((lengths == 0).any()):
        which = "exact" if target.norm() == 0 else "gradients"
        raise ValueError(f"{which}: a gradient of length zero has no direction")
    return (rows @ target) / lengths


def relative_variance(stats: Mapping[str, Moments], signal: Mapping[str, Tensor]) -> float:
    """Trace of the covariance of one draw / squared length of `signal`; unit 1.

    The inverse square of a signal-to-noise ratio of the whole vector. `signal` is the exact
    gradient where there is one: the own mean of n draws is too long by trace / n in the square.
    """
    means = {name: moments.mean for name, moments in stats.items()}
    _require_same_names("stats", means, signal)
    length = _length(signal)
    if not length:
        raise ValueError("signal: a gradient of length zero has no relative variance")
    return covariance_trace(stats) / length**2


class GradientNorms(NamedTuple):
    """The three readings of "gradient norm" in Figure 4(b) of Dai, Wenliang and Wipf, "On the Value
    of Infinite Gradients in VAE Models" (NeurIPS 2021), which does not say what it shows."""

    per_sample: float
    """Mean over images of the length of the gradient of each image's -ELBO (ours: primary)."""
    equation_3: float
    """The same for their equation 3, which is twice the -ELBO but for constants."""
    batch_mean: float
    """Frobenius norm of the gradient of the batch MEAN of -ELBO: the root mean square length of
    an image's gradient / sqrt(B)."""


def gradient_norms(gradients: Tensor) -> GradientNorms:
    """All three from the gradients [B, ...] of each image's own -ELBO, in nats/image per unit of
    the variable; not divided by B, as a mean over the batch would."""
    if gradients.ndim < 2 or not len(gradients):
        raise ValueError(f"gradients: need [B >= 1, ...], got {list(gradients.shape)}")
    require_finite("gradients", gradients)
    lengths = gradients.double().flatten(1).norm(dim=1)
    mean = float(lengths.mean())
    return GradientNorms(mean, 2 * mean, float(lengths.norm()) / len(gradients))


def _flat(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Tensor:
    """[*lead, P] in float64, in the order of `like`."""
    parts = []
    for name, target in like.items():
        lead = tensors[name].shape[: tensors[name].ndim - target.ndim]
        parts.append(tensors[name].double().reshape(*lead, target.numel()))
    if len({part.shape[:-1] for part in parts}) != 1:
        raise ValueError(f"gradients: leading axes differ, {[list(p.shape[:-1]) for p in parts]}")
    return torch.cat(parts, -1)


def _length(tensors: Mapping[str, Tensor]) -> float:
    return float(_flat(tensors, tensors).norm())


def _require_same_names(
    what: str, found: Mapping[str, Tensor], exact: Mapping[str, Tensor], *, trailing: bool = False
) -> None:
    """Same names, equal shapes (or equal trailing shapes) and finite numbers; else ValueError."""
    if found.keys() != exact.keys():
        raise ValueError(f"{what}: names {sorted(found)}, the exact gradient's {sorted(exact)}")
    for name, target in exact.items():
        shape = tuple(found[name].shape)
        if trailing:
            shape = shape[max(0, len(shape) - target.ndim) :]
        if shape != tuple(target.shape):
            raise ValueError(
                f"{what}[{name!r}]: shape {list(found[name].shape)} does not fit the exact "
                f"gradient's {list(target.shape)}"
            )
        require_finite(f"{what}[{name!r}]", found[name])
        require_finite(f"exact[{name!r}]", target)
