"""Members stacked under torch.vmap train exactly like members alone."""

from __future__ import annotations

import pytest
import torch

from paper_repro.studies.conformance import measure
from tests.estimators import toys

MEMBERS = 3
CASES = [(o, *pair) for o in measure.FAMILIES for pair in toys.pairs(o)]


@pytest.mark.parametrize(("objective", "name", "problem"), CASES)
def test_stacked_members_have_the_loss_and_gradient_of_a_loop(objective, name, problem):
    toy = toys.TOYS[problem]
    function = toys.bound(toys.terms_of(name), objective, toy)
    stacked = {
        key: torch.stack([p + toys.normal(m, *p.shape, scale=0.1) for m in range(MEMBERS)])
        for key, p in toy.params.items()
    }
    noise = toys.draw_noise(toy, 4, seed=500, draws=MEMBERS)

    together = {key: p.clone().requires_grad_() for key, p in stacked.items()}
    losses = torch.vmap(function)(together, noise)
    losses.sum().backward()

    for member in range(MEMBERS):
        alone = {key: p[member].clone().requires_grad_() for key, p in stacked.items()}
        loss = function(alone, {key: e[member] for key, e in noise.items()})
        loss.backward()
        torch.testing.assert_close(losses[member], loss, rtol=1e-12, atol=1e-12)
        for key, p in alone.items():
            torch.testing.assert_close(together[key].grad[member], p.grad, rtol=1e-10, atol=1e-12)
