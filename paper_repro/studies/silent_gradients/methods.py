"""Names of the methods in tables and figures: from a cell's estimator, samples and schedule.

"silent" is the analytic gradient of a linear decoder (Shao, Liu and Van den Broeck, 2025); "<x> +
silent" anneals from the silent gradient of a guiding linear decoder to <x> on the nonlinear one,
"silent only" never leaves the guide. The names of the baselines are the field's.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import pandas as pd

SILENT, SILENT_ONLY = "silent", "silent only"
REPARAM, GUMBEL, GUMBEL_ST = "reparam", "Gumbel-Softmax", "Gumbel-Softmax ST"
REINFORCE, RLOO = "REINFORCE", "RLOO"
NAMES = {
    "silent": SILENT,
    "exact_kl": REPARAM,
    "gumbel_softmax": GUMBEL,
    "gumbel_softmax_st": GUMBEL_ST,
    "straight_through": "straight-through",
    "reinforce": REINFORCE,
    "rloo": RLOO,
    "score_function": "score function",
}
# Samples per image that a name stands for; another number is added to it, "reparam K=4".
SAMPLES = {"rloo": 2}
FAMILIES = {"gaussian": "Gaussian", "bernoulli": "Bernoulli", "categorical": "categorical"}


def guided(baseline: str) -> str:
    """The name of a baseline that the silent gradient of a guide has helped."""
    return f"{baseline} + {SILENT}"


# (family, baseline, with silent): what "consistently improves" compares on every data set.
PAIRS = (
    ("Gaussian", REPARAM, guided(REPARAM)),
    ("Bernoulli", GUMBEL_ST, guided(GUMBEL_ST)),
    ("Bernoulli", REINFORCE, guided(REINFORCE)),
)


def label(frame: pd.DataFrame) -> pd.Series:
    """Display name of the method of each row, by the settings of its cell; where the cell compared
    several estimators, the name of the row's."""
    columns = [
        *("estimator", "cell_estimator", "k", "estimator_options.second"),
        *("estimator_options.alpha", "estimator_options.alpha.from", "estimator_options.alpha.to"),
    ]
    return _each(frame, columns, _label)


def family(frame: pd.DataFrame) -> pd.Series:
    """Family of each row's latents: "Gaussian", "Bernoulli" or "categorical"."""
    return _each(frame, ["latent"], lambda latent: FAMILIES.get(latent, _text(latent)))


def baseline(frame: pd.DataFrame) -> pd.Series:
    """Name of the method that each annealed row is compared with, what it anneals to; "" for
    others."""

    def name(estimator: Any, k: Any, second: Any) -> str:
        return _sampled(_text(second), _samples(k)) if estimator == "annealed" else ""

    return _each(frame, ["estimator", "k", "estimator_options.second"], name)


def window(frame: pd.DataFrame) -> pd.Series:
    """How the weight of the silent gradient moves in each row's run, times as fractions of it:
    "linear .05-.2", "constant 1"; "" without one."""
    start = "estimator_options.alpha"
    columns = [start, *[f"{start}.{name}" for name in ("schedule", "from", "to", "start", "end")]]
    return _each(frame, columns, _window)


def order(family: str, method: str) -> tuple[int, str, int, int, str]:
    """Sort key for display: Gaussian first; baselines as in `NAMES`, each before its own with
    silent; more samples after fewer; silent only last."""
    families, names = list(FAMILIES.values()), list(NAMES.values())
    base, _, samples = method.removesuffix(f" + {SILENT}").partition(" K=")
    return (
        families.index(family) if family in families else len(families),
        family,
        names.index(base) if base in names else len(names),
        int(samples) if samples.isdigit() else 0,
        method,
    )


def _label(
    estimator: Any, trained: Any, k: Any, second: Any, alpha: Any, high: Any, low: Any
) -> str:
    if estimator != trained:  # only compared, with the fewest samples that it works with
        return NAMES.get(estimator, _text(estimator).replace("_", " "))
    if estimator != "annealed":
        return _sampled(_text(estimator), _samples(k))
    base = _sampled(_text(second), _samples(k))
    if _number(high) or _number(low):
        return guided(base)
    if not _number(alpha) or alpha == 0:
        return base
    return SILENT_ONLY if alpha == 1 else f"{guided(base)}, weight {alpha:g}"


def _sampled(estimator: str, k: int) -> str:
    name = NAMES.get(estimator, estimator.replace("_", " "))
    return name if k == SAMPLES.get(estimator, 1) else f"{name} K={k}"


def _samples(k: Any) -> int:
    return int(k) if _number(k) else 1


def _window(alpha: Any, schedule: Any, high: Any, low: Any, start: Any, end: Any) -> str:
    if _number(alpha):
        return f"constant {alpha:g}"
    if not _text(schedule):
        return ""
    times = [f"{t:g}" for t in (start, end) if _number(t)]
    ends = "" if (high, low) == (1, 0) else f" ({high:g} to {low:g})"
    return f"{schedule} {'-'.join(times)}".strip() + ends


def _each(frame: pd.DataFrame, columns: list[str], function: Any) -> pd.Series:
    """`function` of the entries of each row; None for a column that the frame lacks."""
    entries = [frame[name] if name in frame else [None] * len(frame) for name in columns]
    known: dict[tuple[str, ...], str] = {}
    found = []
    for row in zip(*entries, strict=True):
        key = tuple(map(str, row))
        if key not in known:
            known[key] = function(*row)
        found.append(known[key])
    return pd.Series(found, frame.index, dtype=object)


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and bool(value == value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
