"""What a protocol measures: a model at its weights, with its data and what the cell asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from torch import Tensor

from paper_repro import registry
from paper_repro.contracts import Objective, Tensors
from paper_repro.estimators.terms import Terms
from paper_repro.rows import Row
from paper_repro.training.memory import Memory
from paper_repro.vae.data import Pixels
from paper_repro.vae.interface import VAE, Look


@dataclass(frozen=True)
class Subject:
    """A model at its parameters `params` and the networks' `buffers`."""

    model: VAE
    params: Tensors
    buffers: Tensors
    data: Pixels
    objective: Objective
    outliers: Pixels | None = None
    look: Look | None = None

    @property
    def weights(self) -> Tensors:
        """Parameters and buffers together."""
        return {**self.params, **self.buffers}

    def condition(self, split: str, rows: slice) -> Tensor | None:
        """What a conditional model is given with these images of a split."""
        return self.data.condition(split, rows) if self.data.conditions else None


class Step(NamedTuple):
    """What curves are made of: terms [K, B] and `bound` (0-d) of a step, and, where the protocol
    asks for it, the mean squared error per pixel of the decoded mean (0-d)."""

    terms: Terms
    bound: Tensor
    params: Tensors
    mse: Tensor | None


class EvaluationProtocol(Protocol):
    """A module of `vae.protocols`. SHOWS_MEAN: its curves take `Step.mse`. PROGRESS: the curve that
    progress lines show."""

    SHOWS_MEAN: bool
    PROGRESS: str

    def units(self, p: Mapping[str, Any], model: VAE, objective: Objective) -> dict[str, str]:
        """Names and units of the training curves."""

    def curves(self, step: Step) -> Tensors:
        """At least these numbers of a step, 0-d."""

    def evaluate(
        self, subject: Subject, p: Mapping[str, Any], seed: int, step: int, memory: Memory
    ) -> list[Row]:
        """The rows of a mark, or of the end."""

    def arrays(self, subject: Subject, p: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
        """Pictures and points of the end, uint8 or float32; empty where the cell asks for none."""

    def check(self, subject: Subject, p: Mapping[str, Any]) -> None:
        """UserError for what it cannot measure."""


def protocol(name: str) -> EvaluationProtocol:
    """The protocol `name`."""
    return cast(EvaluationProtocol, registry.load("protocols", name))
