"""What draws of a gradient say: mean, covariance trace, bias, cosine, signal-to-noise ratio.

The covariance trace is what Roeder, Wu and Duvenaud (2017, "Sticking the Landing", sections 2-3)
compare between estimators; the signal-to-noise ratio |mean| / standard deviation is that of
Rainforth et al. (2018, "Tighter Variational Bounds are Not Necessarily Better", equation 6). A
dictionary of parameters is one vector throughout, the concatenation of its entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from paper_repro.contracts import Tensors
from paper_repro.gradients.draws import Gradients


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


def moments(
    batches: Iterable[Gradients], pairs: Sequence[tuple[str, str]] = ()
) -> dict[str, dict[str, Moments]]:
    """label -> parameter -> moments over the draws of all `batches`; under ``a-b`` those of the
    paired differences of two labels.

    Batches are merged by the update of Chan, Golub and LeVeque (1983), which does not cancel
    when the mean is large beside the standard deviation. ValueError for fewer than two draws.
    """
    running: dict[tuple[str, str], tuple[int, Tensor, Tensor]] = {}
    for batch in batches:
        differences = {
            f"{a}-{b}": {name: batch[a][name] - batch[b][name] for name in batch[a]}
            for a, b in pairs
        }
        for label, found in (batch | differences).items():
            for name, values in found.items():
                running[label, name] = _merged(running.get((label, name)), values)
    if any(count < 2 for count, _, _ in running.values()):
        raise ValueError("a variance needs at least two draws")
    result: dict[str, dict[str, Moments]] = {}
    for (label, name), (count, mean, squares) in running.items():
        result.setdefault(label, {})[name] = Moments(count, mean, squares / (count - 1))
    return result


def _merged(
    before: tuple[int, Tensor, Tensor] | None, values: Tensor
) -> tuple[int, Tensor, Tensor]:
    """Count, mean and sum of squared deviations, with the draws `values` [S, ...] added."""
    count, mean = values.shape[0], values.mean(0)
    squares = (values - mean).square().sum(0)
    if before is None:
        return count, mean, squares
    old_count, old_mean, old_squares = before
    delta, total = mean - old_mean, old_count + count
    mean = old_mean + delta * (count / total)
    squares = old_squares + squares + delta.square() * (old_count * count / total)
    return total, mean, squares


def flat(tensors: Mapping[str, Tensor], names: Iterable[str], lead: int = 0) -> Tensor:
    """The named tensors as one vector, behind `lead` leading axes."""
    return torch.cat([tensors[name].flatten(lead) for name in names], -1)


def covariance_trace(stats: Mapping[str, Moments]) -> float:
    """Trace of the covariance of all entries together: the sum of their variances."""
    return float(sum(m.variance.sum() for m in stats.values()))


def z_scores(stats: Moments, expected: Tensor | float = 0.0, floor: float = 1e-12) -> Tensor:
    """(mean - expected) in standard errors, entry by entry.

    `floor` is added to the standard error in quadrature: an estimator without variance agrees
    with the expected value up to rounding, and must not be blamed for the last bit.
    """
    return (stats.mean - expected) / (stats.standard_error.square() + floor**2).sqrt()


def largest_z(stats: Mapping[str, Moments], expected: Tensors | None = None) -> float:
    """The z score of largest magnitude over all entries, with its sign."""
    scores = [z_scores(m, expected[name] if expected else 0.0) for name, m in stats.items()]
    z = torch.cat([score.flatten() for score in scores])
    return float(z[z.abs().argmax()])


def signal_to_noise(stats: Moments, signal: Tensor | None = None) -> Tensor:
    """|signal| / standard deviation, entry by entry; the signal is the mean unless given.

    Pass the mean of a less noisy unbiased estimator as `signal` where the sampling error of the
    own mean would swamp it.
    """
    return (stats.mean if signal is None else signal).abs() / stats.variance.sqrt()


def bias(stats: Mapping[str, Moments], exact: Tensors) -> Tensor:
    """Mean less exact gradient, as one vector in the order of `stats`."""
    return flat({name: m.mean for name, m in stats.items()}, stats) - flat(exact, stats)


def relative(
    trace: float, bias: float | Tensor, length: float | Tensor, count: int
) -> dict[str, float]:
    """Relative to the `length` of the exact gradient, unit 1; NaN where that is zero.

    `relative_variance`: the trace of a draw's covariance to its square, noise to signal, 1 / SNR^2.
    `relative_bias`: the length of the mean of `count` draws less the exact gradient, and
    `relative_bias_noise` what sampling error alone would make of it. Lengths are numbers or 0-d
    tensors; torch divides a number by a tensor with another last digit.
    """
    ratios = {
        "relative_variance": (trace, length**2),
        "relative_bias": (bias, length),
        "relative_bias_noise": ((trace / count) ** 0.5, length),
    }
    return {name: float(a / b) if b else float("nan") for name, (a, b) in ratios.items()}


class MeanCosine:
    """Mean cosine between single draws and the exact gradient, gathered batch by batch; NaN where
    either is zero."""

    def __init__(self, exact: Tensors, names: Sequence[str]) -> None:
        self.names, self.exact = names, flat(exact, names)
        self.cosines: dict[str, list[Tensor]] = {}

    def watch(self, batch: Gradients) -> Gradients:
        """Count the draws of a batch, and return it."""
        for label, found in batch.items():
            draws = flat(found, self.names, 1)
            cosines = draws @ self.exact / (draws.norm(dim=1) * self.exact.norm())
            self.cosines.setdefault(label, []).append(cosines)
        return batch

    def mean(self, label: str) -> float:
        """The mean over all draws seen."""
        return float(torch.cat(self.cosines[label]).mean())
