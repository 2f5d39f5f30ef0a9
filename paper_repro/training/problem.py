"""What one run optimises: the contract between a task and the training loop.

A task module builds one `Problem` per seed. The loop knows nothing of posteriors, data sets or
estimators: it draws a batch, differentiates a loss and moves the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Generator, Tensor

from paper_repro.rows import Row
from paper_repro.training.memory import Memory

Tensors = dict[str, Tensor]


@dataclass
class Problem:
    """One run of a cell: parameters, loss, randomness and evaluation.

    All problems of a cell share their structure: same names, shapes, schedule and meaning of the
    loss, whatever the seed. Where seeds train together, the FIRST problem's `loss` is mapped over
    all members, so it must not close over anything specific to its seed: targets, data subsets and
    other constants of a seed belong in `state` (returned unchanged) or in the batch.
    """

    params: Tensors
    """Tensors to optimise; empty for a task that only measures (its `steps` is 0)."""

    loss: Callable[[Tensors, Tensors, Tensors], tuple[Tensor, Tensors, Tensors]]
    """(params, state, batch) -> (0-d loss to minimise, state of the next step, 0-d logs).

    Pure, and fit for torch.vmap: no `.item()`, no control flow on values, no random draws, no
    in-place change of its arguments. Every parameter takes part in the loss. The returned state
    has the keys of the one passed in, and none of its tensors is part of another entry of that;
    the logs have the keys of `log_units`. Batch and state lie at the same addresses at every step.
    """

    draw: Callable[[int], Tensors]
    """step -> batch and noise, drawn from `generators`. Besides them it keeps no memory: after a
    resumption it is called with the next step on restored generators, and must go on as if never
    interrupted. Shapes stay the same. A shuffled order, for one, is a function of the epoch:
    stream(seed, "order", data set, str(epoch))."""

    evaluate: Callable[[Tensors, Tensors, int], list[Row]]
    """(params, state, step) -> rows. Called with detached tensors, which it must not change, and
    with its own stream(seed, "evaluation", ..., str(step)), so that evaluating more or less often
    changes no other number. Interrupted, it is called again: parts asked for through `memory` are
    then there, everything else is computed anew."""

    memory: Memory = field(default_factory=Memory)
    """Where an evaluation of more than some seconds keeps its parts."""

    optimizer: Mapping[str, Any] = field(default_factory=lambda: {"name": "adam", "lr": 1e-3})
    """Settings, see `paper_repro.training.optimizers`."""

    generators: dict[str, Generator] = field(default_factory=dict)
    """Every generator `draw` uses; saved in checkpoints."""

    state: Tensors = field(default_factory=dict)
    """Multipliers, running averages, constants of the seed; saved in checkpoints."""

    learning_rate: Callable[[int], float] | None = None
    """step (from 0) -> learning rate; None for the constant optimizer["lr"]."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Factor on the learning rate by parameter; 1 for those not named, 0 for one that stays."""

    watch: Callable[[Tensors], Tensors] | None = None
    """Gradients of the loss by parameter, before any clipping -> further 0-d logs; as pure as
    `loss`."""

    log_units: Mapping[str, str] = field(default_factory=dict)
    """Name and unit of each log, those of `watch` included; recorded as curves of the split
    "train"."""

    progress: str = "elbo"
    """The log shown on progress lines."""

    arrays: Callable[[Tensors], dict[str, np.ndarray]] | None = None
    """Parameters and state of the end, in one dictionary -> small arrays (pictures, surfaces)."""

    fingerprint: str = ""
    """SHA-256 of the data, empty where there is none."""

    note: str = ""
    """What the data are where their name does not say it, such as which part of a set."""

    evaluate_at: tuple[int, ...] = ()
    """Numbers of completed steps, besides the last, after which `evaluate` runs."""


def check(problem: Problem) -> None:
    """Make one throw-away step and compare with what the problem promises.

    Moves the problem's generators, which the loop sets anew. ValueError naming what is broken.
    """
    params = {name: p.detach().clone().requires_grad_() for name, p in problem.params.items()}
    batch = problem.draw(0)
    for name, tensor in batch.items():  # later ones are not looked at: they end as "diverged"
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"Problem.draw: {name!r} of the first batch has NaN or infinity")
    loss, state, logs = problem.loss(params, problem.state, batch)
    if loss.ndim or any(log.ndim for log in logs.values()):
        raise ValueError("Problem.loss: the loss and every log must be 0-d")
    loss.backward()
    gradients = {name: p.grad for name, p in params.items() if p.grad is not None}
    if unused := sorted(params.keys() - gradients.keys()):
        raise ValueError(f"Problem.loss: does not depend on {', '.join(unused)}")
    if problem.watch:
        logs = logs | problem.watch(gradients)
    promises: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("logs", logs, problem.log_units),
        ("state", state, problem.state),
    ]
    for what, found, promised in promises:
        if found.keys() != promised.keys():
            raise ValueError(f"Problem.loss: {what} {sorted(found)}, promised {sorted(promised)}")
