"""Statistics of stochastic gradients: mean, covariance trace, z scores, signal-to-noise ratio.

The covariance trace of the gradient is what Roeder, Wu and Duvenaud (2017, "Sticking the
Landing", sections 2-3) compare between estimators; the signal-to-noise ratio |mean| / standard
deviation is that of Rainforth et al. (2018, "Tighter Variational Bounds are Not Necessarily
Better", equation 6). Draws are taken in chunks, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def per_sample_gradients(
    value: Callable[[Tensors, Tensors], Tensor],
    params: Tensors,
    noise: Tensors,
) -> Tensors:
    """One gradient per draw.

    `value(params, noise)` is the 0-d estimate made from one draw; `noise` holds the draws along
    a leading axis of length S. Returns ``{name: [S, *params[name].shape]}``. Every draw gets its
    own copy of the parameters, so one backward pass gives all gradients.
    """
    draws = next(iter(noise.values())).shape[0]
    copies = {
        name: tensor.detach().expand(draws, *tensor.shape).requires_grad_()
        for name, tensor in params.items()
    }
    with torch.enable_grad():
        total = torch.vmap(value)(copies, noise).sum()
    found = torch.autograd.grad(total, list(copies.values()), materialize_grads=True)
    return dict(zip(copies, found, strict=True))


def chunks(count: int, size: int) -> Iterator[int]:
    """Split `count` draws into chunks of at most `size`."""
    for start in range(0, count, max(1, size)):
        yield min(max(1, size), count - start)


@dataclass(frozen=True)
class Moments:
    """Mean and unbiased variance of `count` independent draws, entry by entry."""

    count: int
    mean: Tensor
    variance: Tensor

    @property
    def standard_error(self) -> Tensor:
        """Standard error of the mean."""
        return (self.variance / self.count).sqrt()


def moments(batches: Iterable[Mapping[str, Tensor]]) -> dict[str, Moments]:
    """Moments over the leading axis of every entry, accumulated over `batches`.

    Batches are merged by the update of Chan, Golub and LeVeque (1983), which does not cancel
    when the mean is large beside the standard deviation. Two draws at least.
    """
    running: dict[str, tuple[int, Tensor, Tensor]] = {}
    for batch in batches:
        for name, values in batch.items():
            count, mean = values.shape[0], values.mean(0)
            squares = (values - mean).square().sum(0)
            if name in running:
                before, old_mean, old_squares = running[name]
                delta, total = mean - old_mean, before + count
                mean = old_mean + delta * (count / total)
                squares = old_squares + squares + delta.square() * (before * count / total)
                count = total
            running[name] = (count, mean, squares)
    if any(count < 2 for count, _, _ in running.values()):
        raise ValueError("a variance needs at least two draws")
    return {
        name: Moments(count, mean, squares / (count - 1))
        for name, (count, mean, squares) in running.items()
    }


def covariance_trace(stats: Mapping[str, Moments]) -> float:
    """Trace of the covariance of all entries together: the sum of their variances."""
    return float(sum(m.variance.sum() for m in stats.values()))


def z_scores(stats: Moments, expected: Tensor | float = 0.0, floor: float = 1e-12) -> Tensor:
    """(mean - expected) in standard errors, entry by entry.

    `floor` is added to the standard error in quadrature: an estimator without variance agrees
    with the expected value up to rounding, and must not be blamed for the last bit.
    """
    return (stats.mean - expected) / (stats.standard_error.square() + floor**2).sqrt()


def signal_to_noise(stats: Moments, signal: Tensor | None = None) -> Tensor:
    """|signal| / standard deviation, entry by entry; the signal is the mean unless given.

    Pass the mean of a less noisy unbiased estimator as `signal` where the sampling error of the
    own mean would swamp it.
    """
    return (stats.mean if signal is None else signal).abs() / stats.variance.sqrt()
