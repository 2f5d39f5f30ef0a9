"""Options of one part of a model, some of which follow a schedule (`training.schedules`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from paper_repro.training.schedules import curve, is_schedule


class Settings:
    """Options of one part, of which some follow a schedule.

    A loss must be pure, so the values of a step enter it with the batch, as 0-d tensors.
    """

    def __init__(self, name: str, options: Mapping[str, Any], steps: int) -> None:
        """UserError, naming ``name.option``, where a schedule is none."""
        self.constants = {key: v for key, v in options.items() if not is_schedule(v)}
        self.curves = {
            key: curve(f"{name}.{key}", v, steps) for key, v in options.items() if is_schedule(v)
        }
        self.entry = f"schedule/{name}."

    def drawn(self, step: int, device: str) -> dict[str, Tensor]:
        """This step's values of the options with a schedule, as entries of a batch."""
        return {
            self.entry + key: torch.full((), at(step), device=device)
            for key, at in self.curves.items()
        }

    def read(self, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """All options by name, those with a schedule as the batch has them."""
        return self.constants | {key: batch[self.entry + key] for key in self.curves}
