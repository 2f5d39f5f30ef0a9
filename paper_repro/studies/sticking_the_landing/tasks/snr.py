"""Signal-to-noise ratio of IWAE gradients against the number of samples K.

Rainforth et al. (2018): the signal-to-noise ratio of the standard encoder gradient falls as
K^-1/2, that of the decoder rises as K^1/2; Tucker et al. (2019): DReG turns the encoder's into a
rise. Shown on their linear-Gaussian toy (see `rainforth`); "encoder" is the gradient with respect
to b, "decoder" that with respect to mu. Ratios are averaged over the D parameters of a group.

The signal of the total derivative's encoder gradient is taken from DReG, which has the same
mean: at large K the sampling error of its own mean would be larger than that mean. The path
derivative's signal is its own mean, which is biased for K > 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.gradients.moments import signal_to_noise
from paper_repro.rows import Row, coordinates
from paper_repro.studies.sticking_the_landing.tasks import rainforth
from paper_repro.training.measurement import measurement
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "k": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [1, 3, 10, 30, 100, 300, 1000],
    },
    "draws": {
        "type": "array",
        "items": {"type": "integer", "minimum": 2},
        "uniqueItems": False,
        "default": [10000, 10000, 10000, 5000, 2000, 1000, 1000],
    },
    "points": {"type": "integer", "minimum": 1, "default": 8},
    "dim": {"type": "integer", "minimum": 1, "default": 20},
}
POSTERIOR = "gaussian"
PAIRED = (("k", "draws"),)
ESTIMATORS = ("total", "path", "dreg")
OBJECTIVES = ("iwae",)


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure at every `k[i]` with `draws[i]` draws; UserError unless the lists match."""
    p = cell.params
    if len(p["k"]) != len(p["draws"]):
        raise UserError(
            f"draws: {len(p['draws'])} entries for {len(p['k'])} values of k; one each is needed"
        )
    toy = rainforth.toy(
        stream(seed, "init", "rainforth"), points=p["points"], dim=p["dim"], device=device
    )

    def rows_at(k: int, draws: int) -> Iterator[Row]:
        generator = stream(seed, "evaluation", "rainforth", str(k), device=device)
        stats = rainforth.iwae_moments(toy, ESTIMATORS, generator, k=k, draws=draws)
        for estimator, found in stats.items():
            for group, moments in found.items():
                signal = moments.mean if estimator == "path" else stats["dreg"][group].mean
                at = coordinates(k=k, group=group)
                for metric, value, unit in (
                    ("snr", signal_to_noise(moments, signal).mean(), "1"),
                    ("gradient_mean", moments.mean.abs().mean(), "nats"),
                ):
                    yield Row(metric, float(value), unit, at=at, estimator=estimator)

    memory = Memory()
    counts = list(zip(p["k"], p["draws"], strict=True))
    return measurement(
        lambda: [row for at in counts for row in memory.rows(f"k {at}", partial(rows_at, *at))],
        memory=memory,
    )
