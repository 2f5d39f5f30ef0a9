"""What is true of a distribution, checked by enumeration or quadrature: AssertionError if not.

The tests apply these checks to the package, the mistakes made on purpose must fail them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.moments import CentralMoments

NAMES = ("mean", "second", "third", "fourth")
AXIS = torch.linspace(-40, 40, 8001, dtype=torch.float64)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def close(found: Tensor, expected: Tensor, *, rtol: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-12)


LOGITS, GROUPS = 2 * normal(0, 4, 5), 1.5 * normal(1, 4, 2, 3)
DISCRETE = {
    "bits": Bernoulli(LOGITS),
    "signs": Bernoulli(LOGITS, signed=True),
    "groups": Categorical(GROUPS),
}
MIXTURE = GaussianMixture(normal(2, 4, 3), normal(3, 4, 3, 2), 0.4 * normal(4, 4, 3, 2))


def table(q: Any) -> tuple[Tensor, Tensor]:
    """All states [S, D] of a discrete posterior and their probabilities [S, *batch], without its
    own densities: products of the sigmoid or softmax of the logits."""
    if q.kind == "bernoulli":
        p = 1 / (1 + torch.exp(-q.logits))
        bits = torch.cartesian_prod(*[torch.tensor([0, 1])] * q.logits.shape[-1])
        shape = (len(bits), *[1] * (p.ndim - 1), -1)
        factors = torch.where(bits.reshape(shape) == 1, p, 1 - p)
        return (2 * bits - 1 if q.signed else bits).to(p.dtype), factors.prod(-1)
    *_, groups, classes = q.logits.shape
    p = q.logits.exp() / q.logits.exp().sum(-1, keepdim=True)
    chosen = torch.cartesian_prod(*[torch.arange(classes)] * groups).reshape(-1, groups)
    factors = torch.stack([p[..., g, :][..., chosen[:, g]] for g in range(groups)])
    return torch.eye(classes)[chosen].flatten(-2).to(p.dtype), factors.prod(0).movedim(-1, 0)


def along_batch(states: Tensor, probabilities: Tensor) -> Tensor:
    """States [S, D] repeated for every element of the batch: [S, *batch, D]."""
    shape = (len(states), *[1] * (probabilities.ndim - 1), -1)
    return states.reshape(shape).expand(*probabilities.shape, -1)


def density_is_the_table(q: Any) -> None:
    states, probabilities = table(q)
    log_q = q.log_prob(along_batch(states, probabilities))
    close(log_q.exp(), probabilities)
    close(log_q, probabilities.log())
    close(probabilities.sum(0), torch.ones_like(probabilities[0]))


def prior_is_uniform(q: Any) -> None:
    states, probabilities = table(q)
    log_p = q.log_prior(along_batch(states, probabilities))
    close(log_p.exp(), torch.full_like(probabilities, 1 / len(states)))


def entropy_is_that_of_the_table(q: Any) -> None:
    _, p = table(q)
    close(q.entropy(), -(p * p.log()).sum(0))


def divergence_is_that_of_the_table(q: Any) -> None:
    states, p = table(q)
    close(q.kl_standard(), (p * (p.log() + np.log(len(states)))).sum(0))


def enumerated_moments(q: Any) -> CentralMoments:
    states, p = table(q)
    z = along_batch(states, p)
    mean = (p.unsqueeze(-1) * z).sum(0)
    return CentralMoments(mean, *((p.unsqueeze(-1) * (z - mean) ** n).sum(0) for n in (2, 3, 4)))


def moments_are_those_of_the_table(q: Any) -> None:
    found, expected = q.central_moments(), enumerated_moments(q)
    close(q.mean_z(), expected.mean)
    for name in NAMES:
        close(getattr(found, name), getattr(expected, name))


def marginal_moments_are_those_of_quadrature(q: Any) -> None:
    """For a mixture of Gaussians: integrals over each dimension's marginal density."""
    found = q.central_moments()
    for d in range(q.means.shape[-1]):
        marginal = GaussianMixture(q.logits, q.means[..., d : d + 1], q.log_scales[..., d : d + 1])
        z = AXIS[:, None].expand(-1, len(q.logits))
        density = marginal.log_prob(z.unsqueeze(-1)).exp()
        mean = torch.trapezoid(z * density, AXIS, dim=0)
        close(found.mean[:, d], mean, rtol=1e-9)
        for n, name in enumerate(NAMES[1:], start=2):
            expected = torch.trapezoid((z - mean) ** n * density, AXIS, dim=0)
            close(getattr(found, name)[:, d], expected, rtol=1e-9)


def samples_have_the_frequencies_of_the_table(q: Any, draws: int = 20_000) -> None:
    """Within six standard errors for every state; rare states by a Poisson bound."""
    states, p = table(q)
    z = q.sample({"z": normal(5, *q.noise_shapes(draws)["z"], dtype=q.logits.dtype)})
    equal = (z.unsqueeze(0) == along_batch(states, p).unsqueeze(1)).all(-1)
    assert (equal.sum(0) == 1).all(), "a sample is not one of the states"
    error = (p * (1 - p) / draws).sqrt() + 1 / draws
    assert ((equal.double().mean(1) - p).abs() < 6 * error).all()


def sample_is_the_limit_of_relaxed(q: Any) -> None:
    noise = {"z": normal(6, *q.noise_shapes(50)["z"])}
    torch.testing.assert_close(q.relaxed(noise, 1e-6), q.sample(noise), rtol=0, atol=1e-9)


def scaled_weighs_the_gradient_alone(q: Any, weight: float = 0.3) -> None:
    """q: (parameters..., rebuilt by type); compares gradients of the divergence."""
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in vars(q).items()
        if isinstance(value, Tensor)
    }
    live = type(q)(**vars(q) | leaves)
    other = live.scaled(weight)
    for name in leaves:
        assert torch.equal(getattr(other, name), getattr(live, name))
    whole = torch.autograd.grad(live.kl_standard().sum(), list(leaves.values()))
    part = torch.autograd.grad(other.kl_standard().sum(), list(leaves.values()))
    for a, b in zip(part, whole, strict=True):
        assert b.abs().min() > 0
        close(a, weight * b)


def log_prob_is_the_change_of_variables(flow: Any, dim: int = 3) -> None:
    """log q(z) = log N(base) - log |det dz/dbase| with autograd's Jacobian."""
    for base in normal(7, 5, dim):
        z = flow.rsample({"z": base[None]})[0]
        jacobian = torch.autograd.functional.jacobian(
            lambda b: flow.rsample({"z": b[None]})[0], base
        )
        log_base = -0.5 * (base.square().sum() + dim * np.log(2 * np.pi))
        expected = log_base - torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(flow.log_prob(z), expected, rtol=0, atol=1e-10)
