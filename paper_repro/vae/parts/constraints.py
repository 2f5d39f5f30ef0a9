"""The constraints of a cell and their multipliers, for training with GECO.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Algorithm 1. FRE and CLA look at the decoder's
mean through a network trained beforehand and frozen. Thresholds are part of the state, not of the
loss: seeds that train together share one loss, and a threshold may be another run's number.
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
from paper_repro.rows import Row
from paper_repro.vae.interface import Frozen

COMPONENT = "part"
NAMED_BY = ("kappa", "constraints")
Tensors = dict[str, Tensor]
PATCHES = ("patch", "stride", "floor")
MULTIPLIER = "multiplier"  # the option that sets the start; the others are those of geco.advance
THRESHOLDS = "kappa"  # the entry of the state that geco does not know


class Targets(NamedTuple):
    """What a constraint compares the mean with: images [B, D], and one-hot labels or none."""

    x: Tensor
    labels: Tensor | None = None


class Constraint(NamedTuple):
    """violation(seen, mean [..., B, D], kappa) -> [..., B], in `unit`; scale(kappa) is what it is
    measured against."""

    name: str
    kappa: float
    violation: Callable[[Targets, Tensor, Tensor], Tensor]
    scale: Callable[[Tensor], Tensor]
    unit: str


def constraint(
    spec: Mapping[str, Any], shape: tuple[int, int, int], network: Frozen | None = None
) -> Constraint:
    """The constraint described in a cell, for images of `shape`; UserError for a mistake."""
    name, kappa = spec.get("name"), spec.get("kappa")
    rest = {key: value for key, value in spec.items() if key not in ("name", "kappa")}
    if isinstance(kappa, bool) or not isinstance(kappa, int | float) or kappa <= 0:
        # NaN is allowed: the source run diverged
        raise UserError(f"constraints: kappa of {name!r} must be a positive number, got {kappa!r}")
    if unknown := sorted(rest.keys() - set(PATCHES if name == "PNCC" else ())):
        raise UserError(f"constraints: {name} does not take {', '.join(unknown)}")
    if name == "RE":
        pixels = torch.Size(shape).numel()
        squared = partial(_squares, constraints.reconstruction)
        return Constraint(name, kappa, squared, lambda k: pixels * k.square(), "sse/image")
    if name == "PNCC":
        options = {"shape": shape, **rest}

        def correlation(seen: Targets, mean: Tensor, kappa: Tensor) -> Tensor:
            return constraints.patch_correlation(seen.x, mean, kappa=kappa, **options)

        return Constraint(name, kappa, correlation, lambda k: k, "1")
    if name not in ("FRE", "CLA"):
        raise UserError(f"constraints: {name!r} is not one of RE, FRE, CLA, PNCC")
    if network is None:
        raise UserError(f"constraints: {name} needs a classifier, and this task trains none")
    if name == "FRE":
        compared = partial(constraints.feature_reconstruction, features=network.features)
        return Constraint(name, kappa, partial(_squares, compared), lambda k: k.square(), "1")
    probabilities = network.probabilities

    def classes(seen: Targets, mean: Tensor, kappa: Tensor) -> Tensor:
        assert seen.labels is not None, "the batch has no labels"
        return constraints.classification(
            seen.labels, mean, kappa=kappa, probabilities=probabilities
        )

    return Constraint(name, kappa, classes, lambda k: k, "1")


def lagrangian(
    p: Mapping[str, Any], shape: tuple[int, int, int], network: Frozen | None, device: str
) -> Lagrangian:
    """The multipliers of a cell's constraints: RE's threshold is `kappa`, those of FRE, CLA and
    PNCC stand in `constraints`, and PNCC's other arguments in `patch`."""
    specs = [{"name": "RE", "kappa": p["kappa"]}] if p["kappa"] else []
    specs += [
        {"name": name, "kappa": kappa, **(p["patch"] if name == "PNCC" else {})}
        for name, kappa in p["constraints"].items()
    ]
    patch, side = p["patch"].get("patch", 7), min(shape[1:])
    if "PNCC" in p["constraints"] and patch > side:
        raise UserError(f"patch: {patch} exceeds images of side {side}")
    listed = [constraint(spec, shape, network) for spec in specs]
    return Lagrangian(listed, p["objective_options"], device)


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
        self.start, self.device = options.get(MULTIPLIER, 1.0), device
        self.scale: float | None = options.get("scale")
        self.units = {f"multiplier_{c.name}": "1" for c in self.listed}
        self.units |= {f"violation_{c.name}": c.unit for c in self.listed}
        self.squared = next((i for i, c in enumerate(self.listed) if c.name == "RE"), None)
        if self.squared is not None:
            self.units["relative_mse"] = "1"

    def state(self) -> Tensors:
        """The state before the first step."""
        state = geco.init_state(len(self.listed), self.start)
        state[THRESHOLDS] = torch.tensor([float(c.kappa) for c in self.listed])
        return {name: tensor.to(self.device) for name, tensor in state.items()}

    def joint(
        self,
        x: Tensor,
        labels: Tensor | None,
        mean: Callable[[Any], Tensor],
        log_prior: Callable[[Any], Tensor],
        state: Tensors,
    ) -> geco.ConstrainedJoint:
        """The log joint of images x [B, D], with one-hot labels where there is a classifier, whose
        log-likelihood is -sum_c lambda_c violation_c(mean(z)); `mean` is z -> E[x|z]."""
        seen = Targets(x, labels)

        def violations(z: Any) -> Tensor:
            decoded = mean(z)
            pairs = zip(self.listed, state[THRESHOLDS].unbind(), strict=True)
            return torch.stack([c.violation(seen, decoded, kappa) for c, kappa in pairs])

        return geco.ConstrainedJoint(violations, log_prior, geco.multipliers(state))

    def advance(self, joint: LogJoint, state: Tensors, mse: Tensor) -> tuple[Tensors, Tensors]:
        """The state after a step, and logs, from the violations that `joint` has seen and the mean
        squared error per pixel, 0-d."""
        assert isinstance(joint, geco.ConstrainedJoint)
        assert joint.seen is not None, "the estimator made no use of its log joint"
        found = joint.seen.flatten(1).mean(1)
        values = torch.cat([geco.multipliers(state), found]).unbind()
        logs = dict(zip(self.units, values, strict=False))
        kappas = state[THRESHOLDS]
        if self.squared is not None:
            logs["relative_mse"] = mse / kappas[self.squared].square()
        scales: float | Tensor | None = self.scale
        if scales is None:
            pairs = zip(self.listed, kappas.unbind(), strict=True)
            scales = torch.stack([c.scale(kappa) for c, kappa in pairs])
        moved = geco.advance(state, found, scales, **self.moves)
        return moved | {THRESHOLDS: kappas}, logs

    def flags(self, state: Tensors) -> list[Row]:
        """Per constraint whether its multiplier ended at its bound: nothing could meet it."""
        capped = geco.infeasible({n: t for n, t in state.items() if n != THRESHOLDS}).tolist()
        return [
            Row(f"infeasible_{c.name}", float(flag), "1")
            for c, flag in zip(self.listed, capped, strict=True)
        ]


def _squares(
    violation: Callable[..., Tensor], targets: Targets, mean: Tensor, kappa: Tensor
) -> Tensor:
    return violation(targets.x, mean, kappa=kappa)
