"""Adam on a few tensors, from start to end: for what is fitted beside a run, such as a classifier
that a constraint looks through. No checkpoint and no record: the fit is done again where needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from paper_repro.training import optimizers

ADAM = {"name": "adam"}


def fitted(
    start: Mapping[str, Tensor], loss: Callable[[dict[str, Tensor]], Tensor], steps: int, lr: float
) -> dict[str, Tensor]:
    """The tensors after `steps` steps of Adam down `loss`, detached; `start` stays as it is.

    `loss` maps the tensors to a 0-d tensor and is called once a step, so that it may draw a batch.
    """
    params = {name: t.detach().clone().requires_grad_() for name, t in start.items()}
    leaves = list(params.values())
    optimizer = optimizers.build(ADAM, leaves, optimizers.initial_slots(ADAM, leaves), 0)
    with torch.enable_grad():
        for step in range(steps):
            gradients = list(torch.autograd.grad(loss(params), leaves))
            with torch.no_grad():
                optimizer.rate(step, lr)
                optimizer.update(gradients)
    return {name: t.detach() for name, t in params.items()}
