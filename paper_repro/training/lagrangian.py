"""The constraints of a cell and their multipliers, for training with GECO.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Algorithm 1. A cell lists its constraints as
``{"name": "RE", "kappa": 0.1}``, with further arguments of the function in `objectives.constraints`
beside kappa. RE and PNCC are served; FRE and CLA need a network trained beforehand, which a study
that has one can pass to `Lagrangian` as a constraint of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.objectives import constraints, geco
from paper_repro.training.composed_model import ComposedVAE, Weights

Tensors = dict[str, Tensor]
SERVED = ("RE", "PNCC")
MULTIPLIER = "multiplier"  # the option that sets the start; the others are those of geco.advance


class Constraint(NamedTuple):
    """violation(x [B, D], mean [..., B, D]) -> [..., B], in `unit`; `threshold` is its scale."""

    name: str
    violation: Callable[[Tensor, Tensor], Tensor]
    threshold: float
    unit: str


def constraint(spec: Mapping[str, Any], shape: tuple[int, int, int]) -> Constraint:
    """The constraint described in a cell, for images of `shape`; UserError for a mistake."""
    name, kappa = spec.get("name"), spec.get("kappa")
    rest = {key: value for key, value in spec.items() if key not in ("name", "kappa")}
    if isinstance(kappa, bool) or not isinstance(kappa, int | float) or not kappa > 0:
        raise UserError(f"constraints: kappa of {name!r} must be a positive number, got {kappa!r}")
    if name == "RE" and not rest:
        pixels = torch.Size(shape).numel()
        violation = partial(constraints.reconstruction, kappa=kappa)
        return Constraint(name, violation, pixels * kappa**2, "sse/image")
    if name == "PNCC" and rest.keys() <= {"patch", "stride", "floor"}:
        violation = partial(constraints.patch_correlation, kappa=kappa, shape=shape, **rest)
        return Constraint(name, violation, kappa, "1")
    if name in SERVED:
        raise UserError(f"constraints: {name} does not take {', '.join(sorted(rest))}")
    raise UserError(f"constraints: {name!r} is not one of {', '.join(SERVED)}")


class Lagrangian:
    """Constraints with one multiplier each, whose state is passed in and out."""

    def __init__(
        self, listed: Sequence[Constraint], options: Mapping[str, Any], device: str
    ) -> None:
        """`options`: multiplier (the start, 1), and rate, clip, decay and scale of `geco.advance`;
        the scale, what a violation is relative to, is by default the constraint's threshold."""
        if not listed:
            raise UserError("constraints: the objective 'geco' needs at least one")
        allowed = (MULTIPLIER, "scale", "rate", "clip", "decay")
        if unknown := sorted(options.keys() - set(allowed)):
            raise UserError(f"objective_options.{unknown[0]}: geco takes {', '.join(allowed)}")
        self.listed = list(listed)
        self.moves = {k: v for k, v in options.items() if k in ("rate", "clip", "decay")}
        self.start = options.get(MULTIPLIER, 1.0)
        scales = [options.get("scale", c.threshold) for c in self.listed]
        self.scales = torch.tensor(scales, device=device)
        self.units = {f"multiplier_{c.name}": "1" for c in self.listed}
        self.units |= {f"violation_{c.name}": c.unit for c in self.listed}

    def state(self) -> Tensors:
        """The state before the first step."""
        state = geco.init_state(len(self.listed), self.start)
        return {name: tensor.to(self.scales.device) for name, tensor in state.items()}

    def joint(
        self, model: ComposedVAE, weights: Weights, x: Tensor, posterior: Any, state: Tensors
    ) -> geco.ConstrainedJoint:
        """The log joint whose energy is that of the violations at E[x|z]."""

        def violations(z: Tensor) -> Tensor:
            mean = model.mean(weights, z)
            return torch.stack([c.violation(x, mean) for c in self.listed])

        log_prior = model.log_prior(weights, posterior)
        return geco.ConstrainedJoint(violations, log_prior, geco.multipliers(state))

    def advance(self, joint: LogJoint, state: Tensors) -> tuple[Tensors, Tensors]:
        """The state after a step, and logs, from the violations that `joint` has seen."""
        assert isinstance(joint, geco.ConstrainedJoint)
        assert joint.seen is not None, "the estimator made no use of its log joint"
        seen = joint.seen.flatten(1).mean(1)
        values = torch.cat([geco.multipliers(state), seen]).unbind()
        logs = dict(zip(self.units, values, strict=True))
        return geco.advance(state, seen, self.scales, **self.moves), logs
