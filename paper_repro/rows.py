"""A result row: one measured number with its unit.

Sum and mean are never left to guess: the unit says per what, and an unknown unit is an error.
"""

from __future__ import annotations

from dataclasses import dataclass

UNITS = frozenset(
    {
        "nats/image",  # summed over the pixels of one image, averaged over images
        "nats",  # a KL divergence or bound that belongs to no image (toy targets)
        "nats^2",  # variance, or trace of covariance, of a gradient of nats
        "bits/dim",
        "mse/pixel",
        "rmse/pixel",
        "sse/image",  # squared error summed over the pixels of one image
        "1",  # dimensionless: ratios, z scores, counts, probabilities
        "s",
        "steps/s",
        "MiB",
    }
)


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
