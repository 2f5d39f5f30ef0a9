"""A result row: one measured number with its unit."""

from __future__ import annotations

from dataclasses import dataclass

from paper_repro.units import UNITS


@dataclass(frozen=True)
class Row:
    """One number of one run.

    `at` holds coordinates inside the cell, such as ``a=0.25`` (see `coordinates`). `estimator`
    overrides the cell's estimator where a cell measures several. `kind` is ``curve`` for thinned
    training curves and ``final`` for everything else. `step` -1 means "the step at which the
    training loop recorded this row".
    """

    metric: str
    value: float
    unit: str
    split: str = ""
    at: str = ""
    estimator: str = ""
    step: int = -1
    kind: str = "final"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(
                f"metric {self.metric!r}: unknown unit {self.unit!r}; known: {sorted(UNITS)}"
            )
        if self.kind not in {"final", "curve"}:
            raise ValueError(
                f"metric {self.metric!r}: kind is 'final' or 'curve', not {self.kind!r}"
            )


def coordinates(**values: object) -> str:
    """Coordinates of a row inside its cell, ``a=0.25,parameter=mu``; names in the order given."""
    text = {name: f"{v:.6g}" if isinstance(v, float) else str(v) for name, v in values.items()}
    for name, value in text.items():
        if any(mark in name + value for mark in ",="):
            raise ValueError(f"coordinate {name}={value!r}: ',' and '=' are separators")
    return ",".join(f"{name}={value}" for name, value in text.items())
