"""What holds exactly for silent gradients: no variance, no bias, closed forms (Shao et al. 2025).

After Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587), whose body is not known
to us: one gradient of E1 repeated (`repeats`); on small models, sampled gradients against the
silent one and their variances against formulas (`sampled`, `variances`), and every closed form of
an expected log-likelihood against a sum over all states (`closed_forms`). Each seed draws other
models; the images are the data set's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.studies.silent_gradients.tasks import closed_forms, repeats, sampled
from paper_repro.studies.silent_gradients.tasks.small_models import LATENTS, small_model
from paper_repro.training.measurement import measurement
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream
from paper_repro.vae import data as images
from paper_repro.vae.data import Pixels

PARAMS = {
    "dataset": {"type": "string"},
    # the parts of E1 whose gradient is repeated
    "model": {"enum": ["mlp"], "default": "mlp"},
    "decoder": {"enum": ["linear"], "default": "linear"},
    "likelihood": {"enum": ["gaussian"], "default": "gaussian"},
    "objective": {"enum": ["elbo"], "default": "elbo"},
    "sizes": {"type": "object", "default": {}},
    "variance": {"type": "number", "exclusiveMinimum": 0, "default": 0.1},
    "batch_size": {"type": "integer", "minimum": 2, "default": 128},
    "repeats": {"type": "integer", "minimum": 2, "default": 256},
    # gradients per estimator and small model; means of up to a 16th of them are compared
    "draws": {"type": "integer", "minimum": 256, "default": 65536},
}
ESTIMATORS = (
    "silent",
    "exact_kl",
    "score_function",
    "reinforce",
    "rloo",
    "gumbel_softmax",
    "gumbel_softmax_st",
    "straight_through",
)
IMAGES = 3  # of a small model


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once: repeats on `device`, small models on the CPU in float64."""
    data = images.load(cell.params["dataset"], "unit", device)
    memory = Memory()
    return measurement(
        lambda: list(rows(cell.params, data, seed, device, memory)),
        fingerprint=data.fingerprint,
        memory=memory,
    )


def rows(
    p: Mapping[str, Any], data: Pixels, seed: int, device: str, memory: Memory
) -> Iterator[Row]:
    """All rows of one seed."""
    yield from memory.rows("repeats", lambda: repeats.rows(p, seed, device))
    x = data.train[:IMAGES].double().cpu() / data.levels
    for latent in LATENTS:
        model = small_model(latent, x, p["variance"], stream(seed, "init", "small", latent))
        yield from closed_forms.rows(model)
        if latent in sampled.ESTIMATORS:
            noise = stream(seed, "evaluation", "small", latent)
            yield from memory.rows(latent, partial(sampled.rows, model, p["draws"], noise))
