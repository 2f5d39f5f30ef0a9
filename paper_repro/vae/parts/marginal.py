"""Both sides of the marginal KL of a trained VAE with Gaussian latents.

KL(q(z) || p(z)), q(z) = E_x q(z|x), is what Rezende and Viola, "Taming VAEs" (arXiv 1810.00597),
read as coverage; their estimator is unknown. The low side is a RealNVP (Dinh et al., ICLR 2017)
fitted to codes of training images and scored on codes of test images, the high side a mixture of
encoders, see `metrics.marginal_kl`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from paper_repro.data import batches
from paper_repro.distributions import flow
from paper_repro.metrics import marginal_kl
from paper_repro.rows import Row, coordinates
from paper_repro.training.fit import fitted
from paper_repro.training.streams import stream
from paper_repro.vae.data import Pixels
from paper_repro.vae.interface import VAE
from paper_repro.vae.trained import standard_normal

COMPONENT = "part"
NAMED_BY = ("marginal",)
LAYERS, HIDDEN, DEPTH = 6, 64, 2  # of the flow
BATCH, RATE = 256, 1e-3
BLOCK = 1000  # images encoded at a time

Tensors = dict[str, Tensor]


def bracket_rows(
    model: VAE,
    weights: Tensors,
    data: Pixels,
    seed: int,
    *,
    steps: int = 2000,
    codes: int = 50000,
    encoders: int = 2000,
) -> list[Row]:
    """Rows of the bracket, in nats/image.

    The flow is fitted for `steps` to one code each of `codes` training images; the mixture is of
    `encoders` test images.
    """
    device = data.test.device
    noise = stream(seed, "evaluation", data.name, "marginal", device=device)

    def coded(images: Tensor) -> tuple[Any, Tensor]:
        """The posterior of images and one code each, [N, D]."""
        posterior = model.posterior(weights, batches.scale(images, data.levels))
        return posterior, posterior.rsample(standard_normal(posterior, 1, noise))[0]

    train = torch.cat([coded(part)[1] for part in data.train[:codes].split(BLOCK)])
    posterior, test = coded(data.test[:encoders])
    fitted, prior = flow.Flow(fit(train, steps, seed)), model.log_prior(weights, posterior)
    mixture = marginal_kl.gaussian_encoders(posterior.mean, posterior.log_scale)
    log_ratio = posterior.log_prob(test[None])[0] - prior(test)
    found = marginal_kl.bracket(
        marginal_kl.low(test, fitted.log_prob, prior),
        marginal_kl.high(test, mixture, prior, encoders=len(test)),
        float(log_ratio.mean()),
        len(test),
    )
    sides = {"low": (found.low, found.low_error), "high": (found.high, found.high_error)}
    rows = [Row("marginal_kl_floor", found.floor, "nats/image", split="test")]
    for side, (value, error) in sides.items():
        at = coordinates(side=side)
        rows.append(Row("marginal_kl", value, "nats/image", split="test", at=at))
        rows.append(Row("marginal_kl_error", error, "nats/image", split="test", at=at))
    return rows


def fit(codes: Tensor, steps: int, seed: int) -> Tensors:
    """Parameters of a RealNVP fitted to codes [N, D] by maximum likelihood.

    It starts at the identity; codes are standard in scale already, as the prior is.
    """
    generator = stream(seed, "init", "marginal")
    start = flow.init_params(
        generator, dim=codes.shape[1], layers=LAYERS, hidden=HIDDEN, depth=DEPTH, scale=0.1
    )
    order = stream(seed, "order", "marginal", device=codes.device)

    def loss(params: Tensors) -> Tensor:
        rows = torch.randint(len(codes), (BATCH,), generator=order, device=codes.device)
        return -flow.Flow(params).log_prob(codes[rows]).mean()

    return fitted({n: t.to(codes.device) for n, t in start.items()}, loss, steps, RATE)
