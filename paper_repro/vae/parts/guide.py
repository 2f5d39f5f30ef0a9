"""A guide: a linear decoder beside a nonlinear one, to train the encoder with.

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587): the encoder follows the noise-
free gradient of a linear decoder's bound while estimator ``annealed`` goes over to the other's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from paper_repro import contracts
from paper_repro.contracts import Tensors
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.vae import linear
from paper_repro.vae.interface import Images, Init, Weights, entries, naming, prefixed
from paper_repro.vae.model import EncoderDecoder

COMPONENT = "part"
NAMED_BY = ("guide",)


def initial(
    p: Mapping[str, Any], model: EncoderDecoder, images: Images, init: Init, device: str
) -> Tensors:
    """Its initial weights, ``guide.*``, as leaves that require grad."""
    sizes = linear.start(images, p["centre"], model.likelihood, model.form)
    with naming("sizes"):
        net = contracts.networks("linear").decoder(
            model.latent, model.shape, model.likelihood.OUTPUTS, init("guide"), **sizes
        )
    found = {**dict(net.named_parameters()), **model.scalars(p["gamma"])}
    found = {name: w.detach().clone().to(device) for name, w in found.items()}
    return prefixed("guide", {name: w.requires_grad_() for name, w in found.items()})


def joint(model: EncoderDecoder, weights: Weights, x: Tensor, posterior: Any) -> LinearJoint:
    """The guide's own log joint of the images x [B, pixels] and z of the model."""
    return linear.joint(
        x,
        entries("guide", weights),
        model.form,
        model.log_prior(weights, posterior),
        model.likelihood,
        model.likelihood_options,
    )
