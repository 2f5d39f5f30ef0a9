"""Options of a composed cell as training uses them: rates by part, schedules, multipliers."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor

from paper_repro.errors import UserError
from paper_repro.training.composed_model import ComposedVAE, entries
from paper_repro.training.lagrangian import Lagrangian, constraint
from paper_repro.training.settings import Settings

Tensors = dict[str, Tensor]


def rates(given: Mapping[str, float], params: Tensors) -> dict[str, float]:
    """The factor of every parameter whose part, the beginning of its name, is given one."""
    for part in given:
        if not entries(part, params):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in params))
            raise UserError(f"rates.{part}: the model has {parts}")
    return {n: given[n.split(".")[0]] for n in params if n.split(".")[0] in given}


def settings(p: Mapping[str, Any], part: str, module: ModuleType) -> Settings:
    """Options of the estimator or objective, the module's OPTIONS where the cell gives none."""
    options = {**getattr(module, "OPTIONS", {}), **p[f"{part}_options"]}
    if hasattr(module, "ConstrainedJoint"):
        options = {}  # they are the multipliers', not the bound's
    return Settings(f"{part}_options", options, p["steps"])


def lagrangian(
    p: Mapping[str, Any], objective: ModuleType, model: ComposedVAE, device: str
) -> Lagrangian | None:
    """The multipliers, where the objective has constraints; UserError for what has no use then."""
    if p["guide"] and p["estimator"] != "annealed":
        raise UserError(f"guide: serves estimator 'annealed' alone, not {p['estimator']!r}")
    constrained = hasattr(objective, "ConstrainedJoint")
    if not constrained and p["constraints"]:
        raise UserError(f"constraints: objective {p['objective']!r} takes none")
    if not constrained:
        return None
    if p["guide"]:
        raise UserError(f"guide: its likelihood has no place in objective {p['objective']!r}")
    if model.likelihood.OUTPUTS != 1:
        raise UserError(
            f"likelihood: objective {p['objective']!r} constrains the mean alone; nothing would "
            f"train the second output of {p['likelihood']!r}"
        )
    listed = [constraint(spec, model.shape) for spec in p["constraints"]]
    return Lagrangian(listed, p["objective_options"], device)
