"""Figure 2: phase transitions of the fixed points of a beta-VAE as beta falls.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Figure 2: trajectories of the fixed-point
equations, E(beta), and its second derivative with the three highest maxima. Points, number of
tiles, weights and betas are ours, the paper's are unknown; so are the statements beside the figure:
a critical beta is the largest eigenvalue of C_a just above it (P4'), the first split follows the
leading eigenvector of the centred Gram matrix (P5'), and in the cold each point has a tile of its
own, at KL = -mean ln(prior mass of the tile) >= ln N (P3').

From hot to cold psi starts at the mean, moved by a jitter before each beta, which lets it leave a
fixed point that has become unstable. On a logarithmic grid a jump of dE/dbeta gives a spike of
height jump / step, so spikes are ranked by height times beta; where beta is within a grid step of
critical, updates may not arrive in `fixed_points.CAP` steps: `unconverged` counts such betas, and
numbers of fixed points and gradients are of the others.

Arrays: points [N, 2], beta, error, curvature and count [B]; shown [S] betas, with start [S, K, 2],
end [S, K, 2] and path [S, T, K, 2] of updates from random starts; critical [3], spike [3].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Generator, float64, randn

from paper_repro.cell import Cell
from paper_repro.rows import Row, coordinates
from paper_repro.studies.taming_vaes.tasks import fixed_points as fp
from paper_repro.studies.taming_vaes.tasks.fixed_points import Array
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS: dict[str, Any] = {
    "points": {"enum": ["hierarchical", "random"]},
    "betas": {"type": "integer", "minimum": 20, "default": 260},
    "shown": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1},
}
TILES = 32
HOT, COLD = 8.0, 0.005
JITTER = 1e-4
SPIKES = 3
SAME = 1e-3  # of the root of the total variance: psi nearer than that coincide
RANDOM_POINTS, RANDOM_SCALE = 10, 1.5
SETS, SET_DIMENSION = 20, 5  # of random data for the spectral link
GAP = 0.1  # relative distance of the two largest eigenvalues that it asks for
BELOW = 0.97  # of the critical beta: where the first split is looked at
ONSET = 0.01  # of the data's standard deviation: a split that has begun and is still linear
SPLIT = 1000  # updates in which it ends
PATH = 60  # updates that are drawn


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    p = cell.params
    x = points(p["points"], stream(seed, "init", "phases"))
    sweep = Sweep(x, np.geomspace(HOT, COLD, p["betas"]), stream(seed, "noise", "phases"))
    generator = stream(seed, "evaluation", "phases")

    def rows() -> list[Row]:
        spectral = spectral_rows(generator) if p["points"] == "random" else iter(())
        return [*sweep.rows(), *spectral]

    return measurement(rows, lambda: sweep.arrays(p["shown"], stream(seed, "order", "phases")))


def points(kind: str, generator: Generator) -> Array:
    """hierarchical: (+-2 +-0.2, +-0.75 +-0.1), the small signs the same in both, [8, 2]; random:
    standard normal times RANDOM_SCALE, [10, 2]."""
    if kind == "random":
        return RANDOM_SCALE * _normal((RANDOM_POINTS, 2), generator)
    signs = (1.0, -1.0)
    return np.array([[2 * a + 0.2 * c, 0.75 * b + 0.1 * c]
                     for a in signs for b in signs for c in signs])  # fmt: skip


class Sweep:
    """Fixed points of points x [N, 2] at falling betas, each started from the one before."""

    def __init__(self, x: Array, betas: Array, generator: Generator) -> None:
        self.x, self.betas = x, betas
        self.weights = np.full(TILES, 1 / TILES)
        psi = np.tile(x.mean(0), (TILES, 1))
        tolerance = SAME * float(np.sqrt(x.var(0).sum()))
        found = []
        for beta in betas:
            start = psi + JITTER * _normal(psi.shape, generator)
            found.append(fp.converge(x, start, self.weights, beta))
            psi = found[-1].psi
        at = [(x, run.psi, self.weights, beta) for run, beta in zip(found, betas, strict=True)]
        self.last = at[-1]
        self.increase = max(run.increase for run in found)
        self.met = np.array([run.met for run in found])
        self.error = np.array([fp.error(*place) for place in at])
        self.variance = np.array([fp.largest_variance(*place) for place in at])
        self.gradients = np.array([np.abs(fp.gradient(*place)).max() for place in at])
        self.counts = np.array([fp.distinct(run.psi, tolerance) for run in found])
        self.curvature = np.abs(np.gradient(np.gradient(self.error, betas), betas))
        self.spikes = spikes(self.curvature, betas)

    def rows(self) -> Iterator[Row]:
        """C1 to C3 and P3' in numbers; spikes are numbered from the hottest."""
        met = self.met
        yield Row("objective_increase", self.increase, "nats")
        yield Row("gradient", float(self.gradients[met].max()), "nats")
        yield Row("unconverged", int((~met).sum()), "1")
        for place, k in enumerate(self.spikes, 1):
            at = coordinates(spike=place)
            predicted = self.variance[k - 1]  # the state before the kink
            yield Row("spike_beta", float(self.betas[k]), "1", at=at)
            yield Row("critical_beta", float(predicted), "1", at=at)
            yield Row("critical_gap", float(abs(np.log(self.betas[k] / predicted))), "1", at=at)
        counts, hot = self.counts[met], self.betas[met] > self.top
        growth = -np.diff(counts).min()  # betas fall: of the count as beta rises
        yield Row("distinct_growth", int(growth), "1")
        yield Row("distinct_hot", int(counts[hot].max()), "1")
        yield Row("distinct_cold_share", float(counts[-1] / len(self.x)), "1")
        for count in sorted(set(counts.tolist())):
            largest = float(self.betas[met][counts == count].max())
            yield Row("appears_at_beta", largest, "1", at=coordinates(distinct=count))
        yield Row("error_hot", float(self.error[0]), "1")
        yield Row("error_cold", float(self.error[-1]), "1")
        yield Row("total_variance", float(self.x.var(0).sum()), "1")
        yield from self._cold()

    @property
    def top(self) -> float:
        """The largest eigenvalue of the data's covariance: the first critical beta."""
        return float(np.linalg.eigvalsh(np.cov(self.x.T, bias=True))[-1])

    def _cold(self) -> Iterator[Row]:
        """The KL at the smallest beta beside that of a tiling, and ln N."""
        soft = fp.soft_step(*self.last)
        beta = self.last[-1]
        kl = fp.objective(soft.q, 0 * soft.squares, self.weights, beta)
        owner = soft.q.argmax(0)  # of each tile: the point it belongs to
        mass = np.bincount(owner, self.weights, len(self.x))
        yield Row("kl_cold", float(kl), "nats")
        yield Row("kl_tiling", float(-np.log(mass).mean()), "nats")
        yield Row("kl_over_log_points", float(kl / np.log(len(self.x))), "1")

    def arrays(self, shown: list[float], generator: Generator) -> dict[str, np.ndarray]:
        """See the module's docstring."""
        low, high = self.x.min(0), self.x.max(0)
        start = (low + high) / 2 + 0.25 * (high - low) * _normal((TILES, 2), generator)
        runs = [fp.converge(self.x, start, self.weights, beta, keep=True) for beta in shown]
        paths = [run.path[: PATH + 1] for run in runs]
        paths = [path + [path[-1]] * (PATH + 1 - len(path)) for path in paths]
        return {
            "points": self.x,
            "beta": self.betas,
            "error": self.error,
            "curvature": self.curvature,
            "count": self.counts,
            "shown": np.array(shown),
            "path": np.array(paths, dtype=np.float32),
            "end": np.array([run.psi for run in runs]),
            "spike": self.betas[self.spikes],
            "critical": self.variance[self.spikes - 1],
        }


def spikes(curvature: Array, betas: Array) -> NDArray[np.intp]:
    """Indices of the SPIKES local maxima that are highest when multiplied by beta, hottest
    first."""
    height = curvature * betas
    inner = (curvature[1:-1] > curvature[:-2]) & (curvature[1:-1] > curvature[2:])
    places = inner.nonzero()[0] + 1
    return np.sort(places[np.argsort(-height[places])][:SPIKES])


def spectral_rows(generator: Generator) -> Iterator[Row]:
    """Per random set with an eigen-gap above GAP: |correlation| of the points' coordinate along the
    first split with the leading eigenvector of their centred Gram matrix, at the onset of the
    split and where it ends."""
    x = _normal((SETS, RANDOM_POINTS, SET_DIMENSION), generator)
    x -= x.mean(-2, keepdims=True)
    values, vectors = np.linalg.eigh(x @ x.swapaxes(-1, -2) / RANDOM_POINTS)
    gap = 1 - values[:, -2] / values[:, -1]
    weights = np.full(TILES, 1 / TILES)
    jitter = JITTER * _normal((SETS, TILES, SET_DIMENSION), generator)
    for i in (gap > GAP).nonzero()[0]:
        beta = float(BELOW * values[i, -1])
        onset = ONSET * float(np.sqrt(values[i, -1]))
        path = fp.converge(x[i], jitter[i], weights, beta, cap=SPLIT, keep=True).path
        begun = next(psi for psi in path if psi.std(0).max() > onset)
        for metric, psi in (("split_correlation", begun), ("split_correlation_end", path[-1])):
            coordinate = first_split(x[i], psi, weights, beta)
            correlation = abs(np.corrcoef(coordinate, vectors[i, :, -1])[0, 1])
            yield Row(metric, float(correlation), "1", at=coordinates(set=int(i)))
    yield Row("sets_with_gap", int((gap > GAP).sum()), "1")


def first_split(x: Array, psi: Array, weights: Array, beta: float) -> Array:
    """Coordinates [N] of the points' reconstructions, sum_a q_ia psi_a, along their own first
    principal axis."""
    where = fp.soft_step(x, psi, weights, beta).q @ psi
    left, sizes, _ = np.linalg.svd(where - where.mean(0), full_matrices=False)
    return np.asarray(left[:, 0] * sizes[0])


def _normal(shape: tuple[int, ...], generator: Generator) -> Array:
    return np.asarray(randn(shape, generator=generator, dtype=float64).numpy())
