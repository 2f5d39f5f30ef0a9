"""A VAE put together from named parts, as functions of an explicit dictionary of weights.

x -> encoder -> q(z|x) of the latent family -> z -> decoder -> p(x|z) of the likelihood, with the
family's standard prior or a flow as p(z) (Dinh et al., Real NVP, ICLR 2017). `weights` holds what
is trained, ``encoder.*``, ``decoder.*``, ``likelihood.*``, ``prior.*`` and ``guide.*``, together
with the networks' buffers. Batch normalisation (Ioffe and Szegedy, ICML 2015) moves its buffers in
place, in that dictionary, while the model is in training mode.

A linear decoder of a Gaussian likelihood has a closed-form expectation (`LinearJoint`). The guide
is such a decoder beside a nonlinear one, to train the encoder with (Shao, Liu and Van den Broeck,
"Silent Gradients", arXiv 2508.03587).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from paper_repro import registry
from paper_repro.distributions import flow
from paper_repro.errors import UserError
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.estimators.terms import LogJoint

Weights = Mapping[str, Tensor]
Init = Callable[[str], Generator]
FLOW = {"layers": 6, "hidden": 256, "depth": 2}  # see distributions.flow
# How a linear decoder's variance is written, by likelihood; "" is what the cell asks for.
LINEAR_FORMS = {"gaussian": "fixed", "gaussian_gamma": "fixed", "gaussian_pixel": ""}


class Images(NamedTuple):
    """What a model must know of its training images: their shape [C, H, W], the mean image
    [C*H*W] and the variance of all pixels about it."""

    shape: tuple[int, int, int]
    mean: Tensor
    variance: float


class ComposedVAE:
    """Architecture and initial weights; every method takes the weights it is to use."""

    def __init__(
        self, p: Mapping[str, Any], images: Images, init: Init, *, guided: bool = False
    ) -> None:
        """`p` are the cell's parameters. `init(part)` is the CPU generator of one part's weights,
        so that a part starts the same whatever it is combined with. `guided` adds a guide.
        UserError names the parameter that does not fit."""
        self.shape, self.pixels = images.shape, len(images.mean)
        decoder = p["decoder"] or p["model"]
        self.family = registry.load("latents", p["latent"])
        self.latent_options = known("latent_options", p["latent_options"], self.family)
        self.likelihood = registry.load("likelihoods", p["likelihood"])
        self.likelihood_options = known(
            "likelihood_options", p["likelihood_options"], self.likelihood
        )
        if "channels" in self.likelihood.OPTIONS:
            self.likelihood_options.setdefault("channels", images.shape[0])
        self.form = self._linear_form(p, decoder == "linear" or guided)
        if guided and not self.form:
            raise UserError(
                f"likelihood: a guide needs one of {', '.join(LINEAR_FORMS)}, with the identity as "
                f"link, not {p['likelihood']!r}"
            )
        self.has_flow = p["prior"] == "flow"
        self.has_linear_joint = decoder == "linear" and bool(self.form)
        if self.has_linear_joint and "clamp" in self.likelihood_options:
            raise UserError(
                "likelihood_options.clamp: the closed form of a linear decoder has none"
            )
        with naming("latent_options"):
            self.head = self.family.head_size(p["dim"], **self.latent_options)
            self.latent = self.family_of(torch.zeros(1, self.head)).mean_z().shape[-1]
        with naming("sizes"):
            self.nets = self._networks(p, images, init, guided)
        self.free = self._free_tensors(p, init, guided)
        self.centre = images.mean if p["centre"] else None
        self.offset = None if decoder == "linear" or not p["centre"] else self._offset(images.mean)

    def to(self, device: str) -> ComposedVAE:
        """Move the initial weights and the constants."""
        self.nets.to(device)
        self.free = {name: t.to(device) for name, t in self.free.items()}
        self.centre, self.offset = (
            None if t is None else t.to(device) for t in (self.centre, self.offset)
        )
        return self

    def parameters_by_name(self) -> dict[str, Tensor]:
        """The initial weights, ``encoder.*`` and so on, as leaves that require grad."""
        found = {**dict(self.nets.named_parameters()), **self.free}
        return {name: w.detach().clone().requires_grad_() for name, w in found.items()}

    def buffers_by_name(self) -> dict[str, Tensor]:
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

    def posterior(self, weights: Weights, x: Tensor) -> Any:
        """q(z|x) of images x [B, pixels]."""
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

    def drawn(self, weights: Weights, noise: Tensor) -> Tensor:
        """E[x|z] [n, pixels] of draws of z from the prior: noise [n, D] standard normal."""
        z = flow.Flow(entries("prior", weights)).forward(noise)[0] if self.has_flow else noise
        return self.mean(weights, z)

    def log_joint(self, weights: Weights, x: Tensor, posterior: Any) -> LogJoint:
        """z -> (log p(x|z), log p(z)): a `LinearJoint` where decoder and likelihood allow it."""
        log_prior = self.log_prior(weights, posterior)
        scalars = entries("likelihood", weights)
        if self.has_linear_joint:
            return self._linear_joint(entries("decoder", weights) | scalars, x, log_prior)

        def joint(z: Tensor) -> tuple[Tensor, Tensor]:
            output = self.decode(weights, z)
            found = self.likelihood.log_likelihood(x, output, scalars, **self.likelihood_options)
            return found, log_prior(z)

        return joint

    def guide(self, weights: Weights, x: Tensor, posterior: Any) -> LinearJoint:
        """The guide's own log joint of the same x and z."""
        return self._linear_joint(entries("guide", weights), x, self.log_prior(weights, posterior))

    def _call(self, name: str, weights: Weights, x: Tensor) -> Tensor:
        # No network shares weights, and looking for such takes a tenth of a small step.
        found: Tensor = functional_call(
            self.nets[name], entries(name, weights), (x,), tie_weights=False
        )
        return found

    def _linear_form(self, p: Mapping[str, Any], linear: bool) -> str:
        """How a linear decoder's variance is written; "" where nothing has a closed form."""
        link = self.likelihood_options.get("link", "identity")
        if not linear or p["likelihood"] not in LINEAR_FORMS or link != "identity":
            return ""
        return LINEAR_FORMS[p["likelihood"]] or str(p["variance_form"])

    def _linear_joint(
        self, params: Weights, x: Tensor, log_prior: Callable[[Tensor], Tensor]
    ) -> LinearJoint:
        variance = None
        if self.form == "fixed":
            learned = params.get("log_gamma")
            fixed = {**self.likelihood.OPTIONS, **self.likelihood_options}.get("variance")
            variance = fixed if learned is None else learned.exp()
        return LinearJoint(x, params, self.form, log_prior, variance=variance)

    def _networks(
        self, p: Mapping[str, Any], images: Images, init: Init, guided: bool
    ) -> nn.ModuleDict:
        kinds = {"encoder": p["model"], "decoder": p["decoder"] or p["model"]}
        rooms = {part: registry.load("models", kind) for part, kind in kinds.items()}
        every = {**rooms["encoder"].SIZES, **rooms["decoder"].SIZES}
        if unknown := sorted(p["sizes"].keys() - every.keys()):
            raise UserError(f"sizes.{unknown[0]}: the networks take {', '.join(every)}")

        def decoder(part: str, room: ModuleType, sizes: Mapping[str, Any]) -> nn.Module:
            made: nn.Module = room.decoder(
                self.latent, images.shape, self.likelihood.OUTPUTS, init(part), **sizes
            )
            return made

        own = {
            part: {n: v for n, v in p["sizes"].items() if n in room.SIZES}
            for part, room in rooms.items()
        }
        linear = self._linear_start(images, p["centre"])
        nets = nn.ModuleDict()
        nets["encoder"] = rooms["encoder"].encoder(
            images.shape, self.head, init("encoder"), **own["encoder"]
        )
        start = linear if kinds["decoder"] == "linear" else {}
        nets["decoder"] = decoder("decoder", rooms["decoder"], own["decoder"] | start)
        if guided:
            nets["guide"] = decoder("guide", registry.load("models", "linear"), linear)
        return nets

    def _linear_start(self, images: Images, centred: bool) -> dict[str, Any]:
        """A linear decoder starts at the mean image and the pixels' variance: where the
        precision is a square, zero would be no start at all."""
        start: dict[str, Any] = {"bias": images.mean if centred else None}
        if self.likelihood.OUTPUTS == 2:
            precision = 1 / images.variance
            value = math.sqrt(precision) if self.form == "SQ" else math.log(precision)
            start["scale_bias"] = torch.full((self.pixels,), value)
            start["constant_scale"] = self.form == "L0"
        return start

    def _free_tensors(self, p: Mapping[str, Any], init: Init, guided: bool) -> dict[str, Tensor]:
        """What is trained and belongs to no network: learned scalars, the prior's flow."""
        scalars = self._scalars(p["gamma"])
        found = prefixed("likelihood", scalars) | (prefixed("guide", scalars) if guided else {})
        if not self.has_flow:
            if p["prior_options"]:
                raise UserError("prior_options: the standard prior has none")
            return found
        if p["latent"] != "gaussian":
            raise UserError(f"prior: {p['prior']!r} cannot serve latent {p['latent']!r}")
        with naming("prior_options or dim"):
            made = flow.init_params(init("prior"), dim=self.latent, **(FLOW | p["prior_options"]))
        return found | prefixed("prior", made)

    def _scalars(self, gamma: float) -> dict[str, Tensor]:
        """A likelihood's learned scalars; its variance starts at `gamma`."""
        if gamma <= 0:  # NaN passes: it is what a run that diverged hands on
            raise UserError(f"gamma: {gamma:g}, a variance is positive")
        if hasattr(self.likelihood, "init_params"):
            found: dict[str, Tensor] = self.likelihood.init_params()
            return found | {"log_gamma": torch.as_tensor(gamma).double().log().float()}
        if gamma != 1:
            raise UserError("gamma: starts a learned variance, and this likelihood has none")
        return {}

    def _offset(self, mean: Tensor) -> Tensor:
        """What the decoder's raw output is added to, so that it starts at the mean image."""
        logit = "link" not in self.likelihood.OPTIONS  # of a probability
        if logit or self.likelihood_options.get("link") == "sigmoid":
            mean = torch.logit(mean.clamp(0.001, 0.999))
        return nn.functional.pad(mean, (0, (self.likelihood.OUTPUTS - 1) * self.pixels))


def entries(prefix: str, tensors: Weights) -> dict[str, Tensor]:
    """The entries ``prefix.*`` under their names without it."""
    start = prefix + "."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def prefixed(prefix: str, tensors: Weights) -> dict[str, Tensor]:
    """The same tensors under the names ``prefix.*``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def known(name: str, given: Mapping[str, Any], room: ModuleType) -> dict[str, Any]:
    """A copy of a component's options; UserError naming one that it does not have."""
    if unknown := sorted(given.keys() - room.OPTIONS.keys()):
        allowed = ", ".join(room.OPTIONS) or "no options"
        raise UserError(f"{name}.{unknown[0]}: {room.__name__.split('.')[-1]} takes {allowed}")
    return dict(given)


@contextmanager
def naming(parameter: str) -> Iterator[None]:
    """Turn a part's refusal into a mistake of the user in this parameter of the cell."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UserError(f"{parameter}: {error}") from error
