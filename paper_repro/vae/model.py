"""A VAE put together from named parts, as functions of an explicit dictionary of weights.

x -> encoder -> q(z|x) of the latent family -> z -> decoder -> p(x|z) of the likelihood, with the
family's standard prior or a flow as p(z) (Dinh et al., Real NVP, ICLR 2017). `weights` holds what
is trained, ``encoder.*``, ``decoder.*``, ``likelihood.*`` and ``prior.*``, together with the
networks' buffers. Batch normalisation (Ioffe and Szegedy, ICML 2015) moves its buffers in place, in
that dictionary, while the model is in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from paper_repro import contracts
from paper_repro.contracts import Tensors
from paper_repro.distributions import flow
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.vae import linear
from paper_repro.vae.interface import Images, Init, Weights, entries, naming, prefixed

COMPONENT = "networks"
FLOW = {"layers": 6, "hidden": 256, "depth": 2}  # see distributions.flow


class EncoderDecoder:
    """Architecture and initial weights; every method takes the weights it is to use."""

    def __init__(self, p: Mapping[str, Any], images: Images, init: Init) -> None:
        """`p` are the cell's parameters. `init(part)` is the CPU generator of one part's weights,
        so that a part starts the same whatever it is combined with. UserError names the parameter
        that does not fit."""
        self.shape, self.pixels = images.shape, len(images.mean)
        decoder = p["decoder"] or p["model"]
        self.family = contracts.family(p["latent"])
        self.latent_options = dict(p["latent_options"])
        self.likelihood = contracts.likelihood(p["likelihood"])
        self.likelihood_options = dict(p["likelihood_options"])
        if "channels" in self.likelihood.OPTIONS:
            self.likelihood_options.setdefault("channels", images.shape[0])
        self.form = linear.form(self.likelihood, self.likelihood_options, p["variance_form"])
        self.has_flow = p["prior"] == "flow"
        self.has_linear_joint = decoder == "linear" and bool(self.form)
        if images.condition_planes:
            raise UserError(f"model: {p['model']!r} takes no condition, and its data have one")
        if self.has_linear_joint and "clamp" in self.likelihood_options:
            raise UserError(
                "likelihood_options.clamp: the closed form of a linear decoder has none"
            )
        with naming("latent_options"):
            self.head = self.family.head_size(p["dim"], **self.latent_options)
            self.latent = self.family_of(torch.zeros(1, self.head)).mean_z().shape[-1]
        with naming("sizes"):
            self.nets = self._networks(p, images, init)
        self.free = prefixed("likelihood", self.scalars(p["gamma"])) | self._prior(p, init)
        self.centre = images.mean if p["centre"] else None
        self.offset = None if decoder == "linear" or not p["centre"] else self._offset(images.mean)

    def to(self, device: str) -> EncoderDecoder:
        """Move the initial weights and the constants."""
        self.nets.to(device)
        self.free = {name: t.to(device) for name, t in self.free.items()}
        self.centre, self.offset = (
            None if t is None else t.to(device) for t in (self.centre, self.offset)
        )
        return self

    def parameters_by_name(self) -> Tensors:
        """The initial weights, ``encoder.*`` and so on, as leaves that require grad."""
        found = {**dict(self.nets.named_parameters()), **self.free}
        return {name: w.detach().clone().requires_grad_() for name, w in found.items()}

    def buffers_by_name(self) -> Tensors:
        """Copies of the networks' initial buffers."""
        return {name: b.detach().clone() for name, b in self.nets.named_buffers()}

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within this block batch normalisation uses its running averages and nothing has a
        gradient."""
        self.nets.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.nets.train()

    def noise_shapes(self, k: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Standard-normal noise of K samples of a batch, by name."""
        return self.family_of(torch.zeros(batch, self.head)).noise_shapes(k)

    def encode(self, weights: Weights, x: Tensor) -> Tensor:
        """The encoder's raw output for images x [B, pixels]: [B, head]."""
        return self._call("encoder", weights, x if self.centre is None else x - self.centre)

    def family_of(self, head: Tensor) -> Any:
        """The posterior with encoder outputs [B, head]."""
        return self.family.from_head(head, **self.latent_options)

    def posterior(self, weights: Weights, x: Tensor, condition: Tensor | None = None) -> Any:
        """q(z|x) of images x [B, pixels]; it takes no condition."""
        return self.family_of(self.encode(weights, x))

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        """The decoder's raw output at z [..., B, D]: [..., B, outputs * pixels]."""
        output = self._call("decoder", weights, z)
        return output if self.offset is None else output + self.offset

    def mean(self, weights: Weights, z: Tensor) -> Tensor:
        """E[x|z] at z [..., B, D]: [..., B, pixels]."""
        found: Tensor = self.likelihood.mean(self.decode(weights, z), **self.likelihood_options)
        return found

    def log_prior(self, weights: Weights, posterior: Any) -> Callable[[Tensor], Tensor]:
        """log p(z) in nats, as a function of z [K, B, D]: [K, B]."""
        if self.has_flow:
            return flow.Flow(entries("prior", weights)).log_prob
        found: Callable[[Tensor], Tensor] = posterior.log_prior
        return found

    def prior_means(
        self, weights: Weights, noise: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """E[x|z] [n, pixels] of draws of z from the prior: noise [n, D] standard normal."""
        z = flow.Flow(entries("prior", weights)).forward(noise)[0] if self.has_flow else noise
        return self.mean(weights, z)

    def rate(self, weights: Weights, posterior: Any, z: Tensor) -> Tensor:
        """KL(q(z|x) || p(z)) in nats [B]: exact, but for a flow, where it is at z [1, B, D]."""
        if self.has_flow:
            ratio: Tensor = posterior.log_prob(z) - self.log_prior(weights, posterior)(z)
            return ratio[0]
        exact: Tensor = posterior.kl_standard()
        return exact

    def log_joint(
        self,
        weights: Weights,
        x: Tensor,
        posterior: Any,
        show: Callable[[Tensor], None] | None = None,
    ) -> LogJoint:
        """z -> (log p(x|z), log p(z)): a `LinearJoint` where decoder and likelihood allow it, which
        has nothing to show."""
        log_prior, scalars = self.log_prior(weights, posterior), entries("likelihood", weights)
        if self.has_linear_joint:
            params = entries("decoder", weights) | scalars
            return linear.joint(
                x, params, self.form, log_prior, self.likelihood, self.likelihood_options
            )

        def joint(z: Tensor) -> tuple[Tensor, Tensor]:
            output = self.decode(weights, z)
            if show:
                show(self.likelihood.mean(output, **self.likelihood_options))
            found = self.likelihood.log_likelihood(x, output, scalars, **self.likelihood_options)
            return found, log_prior(z)

        return joint

    def scalars(self, gamma: float) -> Tensors:
        """A likelihood's learned scalars; its variance starts at `gamma`."""
        if gamma <= 0:  # NaN is allowed: the source run diverged
            raise UserError(f"gamma: {gamma:g}, a variance must be positive")
        if found := self.likelihood.init_params():
            return found | {"log_gamma": torch.as_tensor(gamma).double().log().float()}
        if gamma != 1:
            raise UserError("gamma: this likelihood has no learned variance to initialise")
        return {}

    def _call(self, name: str, weights: Weights, x: Tensor) -> Tensor:
        # No network shares weights, and looking for such takes a tenth of a small step.
        found: Tensor = functional_call(
            self.nets[name], entries(name, weights), (x,), tie_weights=False
        )
        return found

    def _networks(self, p: Mapping[str, Any], images: Images, init: Init) -> nn.ModuleDict:
        kinds = {"encoder": p["model"], "decoder": p["decoder"] or p["model"]}
        rooms = {part: contracts.networks(kind) for part, kind in kinds.items()}
        own = {
            part: {n: v for n, v in p["sizes"].items() if n in room.SIZES}
            for part, room in rooms.items()
        }
        if kinds["decoder"] == "linear":
            own["decoder"] |= linear.start(images, p["centre"], self.likelihood, self.form)
        nets = nn.ModuleDict()
        nets["encoder"] = rooms["encoder"].encoder(
            images.shape, self.head, init("encoder"), **own["encoder"]
        )
        nets["decoder"] = rooms["decoder"].decoder(
            self.latent, images.shape, self.likelihood.OUTPUTS, init("decoder"), **own["decoder"]
        )
        return nets

    def _prior(self, p: Mapping[str, Any], init: Init) -> Tensors:
        """The initial weights of the prior's flow."""
        if not self.has_flow:
            return {}
        with naming("prior_options or dim"):
            made = flow.init_params(init("prior"), dim=self.latent, **(FLOW | p["prior_options"]))
        return prefixed("prior", made)

    def _offset(self, mean: Tensor) -> Tensor:
        """What the decoder's raw output is added to, so that it starts at the mean image."""
        logit = "link" not in self.likelihood.OPTIONS  # of a probability
        if logit or self.likelihood_options.get("link") == "sigmoid":
            mean = torch.logit(mean.clamp(0.001, 0.999))
        return nn.functional.pad(mean, (0, (self.likelihood.OUTPUTS - 1) * self.pixels))


MODEL = EncoderDecoder
