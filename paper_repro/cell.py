"""A cell: one point of a study's grid without its seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

CHANGES_NO_NUMBER = True

DATA = ("dataset", "outliers")  # parameters that name data sets


@dataclass(frozen=True)
class Cell:
    """One point of a grid; a cell and a seed make a run.

    `params` holds every setting that can change a number, as plain JSON values with the task's
    defaults filled in; study, experiment, id and tier are only its address, so that the same
    computation asked for by two studies is recognised as the same.
    """

    study: str
    experiment: str
    id: str
    tier: str
    task: str
    params: Mapping[str, Any]
    seeds: tuple[int, ...] = field(default=(0,))

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        object.__setattr__(self, "seeds", tuple(self.seeds))

    @property
    def datasets(self) -> list[str]:
        """The data sets that the cell names."""
        return [self.params[key] for key in DATA if self.params.get(key)]

    def as_json(self) -> str:
        """The cell as canonical JSON (sorted keys), the form in which it stands in a run.json."""
        return json.dumps(
            {
                "study": self.study,
                "experiment": self.experiment,
                "id": self.id,
                "tier": self.tier,
                "task": self.task,
                "params": dict(self.params),
                "seeds": list(self.seeds),
            },
            sort_keys=True,
        )

    def digest(self) -> str:
        """SHA-256 of what is computed (task and parameters), not of where it is filed."""
        content = json.dumps({"task": self.task, "params": dict(self.params)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
