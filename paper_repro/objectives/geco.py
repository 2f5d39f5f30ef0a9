"""GECO: minimise the KL under constraints with learned multipliers (Rezende and Viola 2018).

Rezende and Viola, "Taming VAEs" (2018), Algorithm 1. The Lagrangian KL + sum_c lambda_c C_c is
minus the ELBO of a log joint whose likelihood is the energy -sum_c lambda_c C_c, so every
estimator of the ELBO serves (`ConstrainedJoint`). After each step `advance` moves the multipliers.

What the paper leaves open is ours: violations are in the units of `objectives.constraints`; a
multiplier starts at 1 and its logarithm moves by 5e-3 times the relative violation, at most 0.02 a
step, because a free step overshoots by hundreds while the network is untrained; the average
decays by 0.99. The literal Algorithm 1, per-pixel means and rate 1 without clip, is
`advance(state, violations, D, **LITERAL)` from `init_state(constraints, 1 / D)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paper_repro.distributions.posterior import Latent, Posterior
from paper_repro.estimators.terms import Terms

SUPPORTS = ("gaussian", "bernoulli", "categorical", "mixture", "two_layer", "flow", "convdraw")
LIKE = "elbo"
CONSTRAINED = True
# Of the multipliers (`vae.parts.constraints`); the scale is by default a constraint's threshold.
RULES = {
    "multiplier": {"type": "number", "exclusiveMinimum": 0, "schedule": False},
    "scale": {"type": "number", "exclusiveMinimum": 0, "schedule": False},
    "rate": {"type": "number", "exclusiveMinimum": 0, "schedule": False},
    "clip": {"type": "number", "exclusiveMinimum": 0, "schedule": False},
    "decay": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "schedule": False},
}

LITERAL = {"rate": 1.0, "clip": math.inf}
BOUNDS = (1e-6, 1e6)  # of a multiplier; one at its upper bound has a constraint nothing can meet

State = dict[str, Tensor]


def bound(terms: Terms, posterior: Posterior) -> Tensor:
    """Minus the Lagrangian in nats, to be maximised: [K, *batch] -> [*batch].

    `terms.log_likelihood` is the energy of a `ConstrainedJoint`. The gradient is Algorithm 1's:
    there the moving average replaces the value of the violation alone, not its gradient.
    """
    return (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean(0)


@dataclass
class ConstrainedJoint:
    """A log joint with the energy -sum_c multipliers[c] violations(z)[c] as its likelihood.

    `violations` maps z to [C, K, *batch], positive where a constraint does not hold; `log_prior` to
    [K, *batch] nats; `multipliers` is [C]. `seen` keeps the last violations, detached, for
    `advance`: with the posterior's sample, as the paper trains, not its mean.
    """

    violations: Callable[[Latent], Tensor]
    log_prior: Callable[[Latent], Tensor]
    multipliers: Tensor
    seen: Tensor | None = field(default=None, init=False)

    def __call__(self, z: Latent) -> tuple[Tensor, Tensor]:
        """(energy in nats, log p(z)), each [K, *batch]. ValueError unless C agrees."""
        violations = self.violations(z)
        if violations.shape[:1] != self.multipliers.shape:
            raise ValueError(
                f"violations: shape {list(violations.shape)} must begin with the shape of the "
                f"multipliers, {list(self.multipliers.shape)}"
            )
        self.seen = violations.detach()
        energy = -torch.tensordot(self.multipliers.detach(), violations, dims=1)
        return energy, self.log_prior(z)


def init_state(constraints: int, multiplier: float = 1.0) -> State:
    """The state of `constraints` multipliers: tensors, to be kept in checkpoints."""
    if constraints < 1:
        raise ValueError(f"constraints: {constraints}, needs at least one")
    if not multiplier > 0:
        raise ValueError(f"multiplier: {multiplier} is not positive")
    return {
        "log_multiplier": torch.full((constraints,), math.log(multiplier)),
        "violation_average": torch.zeros(constraints),
        "started": torch.tensor(False),
    }


def multipliers(state: State) -> Tensor:
    """lambda [C], in nats per unit of each violation."""
    return state["log_multiplier"].exp()


def advance(
    state: State,
    violations: Tensor,
    scale: float | Tensor,
    *,
    rate: float = 5e-3,
    clip: float = 0.02,
    decay: float = 0.99,
) -> State:
    """The state after a step: Algorithm 1's moving average, then log lambda moved along it.

    `violations` [C] are batch means; `scale` is what a violation is relative to, a number or [C]:
    the thresholds, such as D kappa^2. The average starts with the first violation, and nothing
    here has a gradient. ValueError unless C agrees.
    """
    average, log_multiplier = state["violation_average"], state["log_multiplier"]
    if violations.shape != average.shape:
        raise ValueError(
            f"violations: shape {list(violations.shape)}, expected {list(average.shape)}, "
            "one batch mean for each multiplier"
        )
    violations = violations.detach()
    mixed = decay * average + (1 - decay) * violations
    average = torch.where(state["started"], mixed, violations)
    change = (rate * average / scale).clamp(-clip, clip)
    low, high = map(math.log, BOUNDS)
    return {
        "log_multiplier": (log_multiplier + change).clamp(low, high),
        "violation_average": average,
        "started": torch.ones_like(state["started"]),
    }


def infeasible(state: State) -> Tensor:
    """Which multipliers [C] stand at their upper bound: what they ask for is out of reach."""
    return state["log_multiplier"] >= math.log(BOUNDS[1]) - 1e-6
