"""ConvDRAW: T steps of diagonal Gaussians, q(z_t | z_<t, x) and p(z_t | z_<t) (Gregor et al. 2016).

Gregor, Besse, Jimenez Rezende, Danihelka and Wierstra, "Towards Conceptual Compression" (NIPS
2016); the posterior of Rezende and Viola, "Taming VAEs" (2018). Prior and posterior of a step
both read the generator's state, hence all draws before it: neither is known before they are made,
so a sample is a `Trace` that holds the draws together with the Gaussians they came from and the
decoded output. The network is an explicit function of its weights, as in `two_layer`, because the
path derivative needs them detached while the draws stay live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import normal_log_prob
from paper_repro.distributions.posterior import Noise, require_noise, require_trailing

COMPONENT = "posterior"

Params = Mapping[str, Tensor]
Gaussian = tuple[Tensor, Tensor]
"""(mean, log_scale) of one step, each [*lead, L]."""
Draw = Callable[[int, Gaussian, Gaussian | None], Tensor]
"""(step t from 0, prior of the step, its posterior or None) -> z_t [*lead, L]."""


class Network(Protocol):
    """The recurrent network, a pure function of its weights."""

    def __call__(
        self,
        params: Params,
        lead: tuple[int, ...],
        x: Tensor | None,
        condition: Tensor | None,
        draw: Draw,
    ) -> Tensor:
        """Run all steps, asking `draw` for the latent of each; the raw output [*lead, outputs].

        x and condition are [*lead, ...]; without x there is no inference, and `draw` gets the
        prior alone. All trainable weights must come in through `params`: what the network closes
        over is not frozen.
        """


class Trace(NamedTuple):
    """One sample of all steps, the Gaussians it was drawn from, and what it decodes to.

    All are [K, *batch, T, L] but the output, [K, *batch, outputs], raw as likelihoods take it.
    """

    z: Tensor
    posterior_mean: Tensor
    posterior_log_scale: Tensor
    prior_mean: Tensor
    prior_log_scale: Tensor
    output: Tensor


@dataclass(frozen=True)
class ConvDRAW:
    """q(z_1..T | x) of images x [*batch, D], given `condition` [*batch, D'] or none.

    `steps` T and `units` L (channels x height x width of a step's latent) are what `net` uses.
    Raises ValueError, naming the argument, where shapes do not agree.
    """

    net: Network
    params: Params
    x: Tensor
    steps: int
    units: int
    condition: Tensor | None = None
    replays: bool = False
    """Whether `log_prob` runs the network again on the draws: set by `frozen`, whose weights are
    not those that the trace came from."""

    kind: ClassVar[str] = "convdraw"

    def __post_init__(self) -> None:
        if self.x.ndim == 0:
            raise ValueError("x: needs a last axis of pixels, got a 0-d tensor")
        if self.condition is not None and self.condition.shape[:-1] != self.x.shape[:-1]:
            raise ValueError(
                f"condition: shape {list(self.condition.shape)} must begin with the batch "
                f"{list(self.x.shape[:-1])} of x"
            )

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"z": [K, *batch, T, L]}."""
        return {"z": (samples, *self.x.shape[:-1], self.steps, self.units)}

    def rsample(self, noise: Noise) -> Trace:
        """z_t = mean_t + scale_t * noise_t, step after step; zero noise follows the means."""
        draws = require_noise(noise, "z", self.noise_shapes(1)["z"])

        def reparameterised(step: int, prior: Gaussian, posterior: Gaussian) -> Tensor:
            mean, log_scale = posterior
            return mean + log_scale.exp() * draws[..., step, :]

        return self._run(draws.shape[0], reparameterised)

    def log_prob(self, z: Trace) -> Tensor:
        """sum_t log q(z_t | z_<t, x) in nats: [K, *batch].

        `z` is a draw of this posterior, or of the one that this is the frozen version of.
        """
        if self.replays:
            require_trailing("z", z.z, self.noise_shapes(1)["z"][1:])
            z = self._run(z.z.shape[0], lambda step, prior, posterior: z.z[..., step, :])
        return normal_log_prob(z.z, z.posterior_mean, z.posterior_log_scale).sum(-1)

    def frozen(self) -> ConvDRAW:
        """The same density with all weights detached; the draws stay live.

        Exact: the network runs again, so that the path through z_<t into q(z_t | z_<t, x) stays
        open. Detaching the traced means and scales would save that pass and close the path.
        """
        params = {name: weight.detach() for name, weight in self.params.items()}
        return replace(self, params=params, replays=True)

    def expect(self, values: Tensor) -> Tensor:
        """Nothing is stratified: the values themselves."""
        return values

    def kl_along(self, trace: Trace) -> Tensor:
        """sum_t KL(q(z_t | z_<t, x) || p(z_t | z_<t)) in nats, given the trace's z_<t: [K, *batch].

        Each step in closed form; the expectation over draws is the KL of all steps together.
        """
        shift = (trace.posterior_mean - trace.prior_mean) * (-trace.prior_log_scale).exp()
        log_ratio = trace.posterior_log_scale - trace.prior_log_scale
        divergence = 0.5 * ((2 * log_ratio).exp() + shift.square() - 1) - log_ratio
        return divergence.sum((-1, -2))

    def _run(self, samples: int, choose: Callable[[int, Gaussian, Gaussian], Tensor]) -> Trace:
        """The trace of a run in which `choose` picks the latent of each step."""
        lead = (samples, *self.x.shape[:-1])
        expected = (*lead, self.units)
        kept: list[tuple[Tensor, ...]] = []

        def draw(step: int, prior: Gaussian, posterior: Gaussian | None) -> Tensor:
            assert posterior is not None
            found = {tuple(part.shape) for part in (*prior, *posterior)}
            if step >= self.steps or found != {expected}:
                raise ValueError(
                    f"net: step {step + 1} with Gaussians of {sorted(found)}, expected "
                    f"{self.steps} steps of {expected}"
                )
            z = choose(step, prior, posterior)
            kept.append((z, *posterior, *prior))
            return z

        condition = self.condition
        if condition is not None:
            condition = condition.expand(samples, *condition.shape)
        x = self.x.expand(samples, *self.x.shape)
        output = self.net(self.params, lead, x, condition, draw)
        if len(kept) != self.steps:
            raise ValueError(f"net: made {len(kept)} steps, expected {self.steps}")
        series = [torch.stack(parts, -2) for parts in zip(*kept, strict=True)]
        return Trace._make([*series, output])


def log_prior(trace: Trace) -> Tensor:
    """sum_t log p(z_t | z_<t) in nats: [K, *batch]."""
    return normal_log_prob(trace.z, trace.prior_mean, trace.prior_log_scale).sum(-1)


def generate(
    net: Network, params: Params, noise: Tensor, condition: Tensor | None = None
) -> Tensor:
    """Raw outputs [*lead, outputs] of draws from the prior.

    noise [*lead, T, L] is standard normal; condition, where the network has one, [*lead, D'].
    """
    if noise.ndim < 3:
        raise ValueError(f"noise: shape {list(noise.shape)}, expected [*lead, T, L]")
    lead = tuple(noise.shape[:-2])
    if condition is not None and tuple(condition.shape[:-1]) != lead:
        raise ValueError(
            f"condition: shape {list(condition.shape)} must begin with {list(lead)} as noise does"
        )

    steps = list(noise.unbind(-2))

    def draw(step: int, prior: Gaussian, posterior: Gaussian | None) -> Tensor:
        mean, log_scale = prior
        if not steps or mean.shape != steps[0].shape:
            raise ValueError(
                f"noise: shape {list(noise.shape)}, but step {step + 1} has {list(mean.shape)}"
            )
        return mean + log_scale.exp() * steps.pop(0)

    output = net(params, lead, None, condition, draw)
    if steps:
        raise ValueError(f"noise: {noise.shape[-2]} steps, more than the network's")
    return output
