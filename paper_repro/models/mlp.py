"""Multilayer perceptrons: the networks of Burda et al. (ICLR 2016), and ones of any depth.

`encoder` and `decoder` are what a grid asks for: hidden layers of any number and width, tanh,
ReLU, GELU or SiLU, with or without layer normalisation (Ba, Kiros and Hinton, 2016).

`GaussianNet` and `BernoulliNet` are the networks of Burda, Grosse and Salakhutdinov, "Importance
Weighted Autoencoders" (ICLR 2016), section 5, as reused by Roeder, Wu and Duvenaud, "Sticking the
Landing" (NIPS 2017): two tanh layers and a linear read-out. Weights are Glorot-uniform (Glorot
and Bengio, AISTATS 2010) and biases zero. The released code draws all layers from one seed, so
that layers of equal shape start equal; here each layer is drawn independently.

One layer:  encoder GaussianNet(784, 200, 50), decoder BernoulliNet(50, 200, 784).
Two layers: encoders GaussianNet(784, 200, 100) and GaussianNet(100, 100, 50), decoders
GaussianNet(50, 100, 100) and BernoulliNet(100, 200, 784).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from paper_repro.models.layers import Network, glorot, he, linear, require_image, require_positive

COMPONENT = "model"
SIZES = {
    "hidden": [512, 512],
    "activation": "relu",
    "weights": "glorot",
    "layer_norm": False,
    "head_gain": 1.0,
}
RULES = {
    "hidden": {"items": {"type": "integer", "minimum": 1}, "minItems": 1},
    "activation": {"enum": ["tanh", "relu", "gelu", "silu"]},
    "weights": {"enum": ["glorot", "he"]},
    "head_gain": {"exclusiveMinimum": 0},
}

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
WEIGHTS = {"glorot": glorot, "he": he}


def encoder(
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    hidden: Sequence[int] = (512, 512),
    activation: str = "relu",
    weights: str = "glorot",
    layer_norm: bool = False,
    head_gain: float = 1.0,
) -> Network:
    """[..., C*H*W] -> [..., outputs].

    Each hidden layer is linear, layer normalisation if asked for, activation (one of ACTIVATIONS);
    weights are drawn as WEIGHTS says, those of the head times `head_gain`, biases are zero.
    ValueError naming the argument where a size is not positive or a name unknown.
    """
    widths = [math.prod(require_image(shape)), *hidden, outputs]
    body, head = _layers(widths, init, activation, weights, layer_norm)
    with torch.no_grad():
        head.weight.mul_(head_gain)
    return Network((widths[0],), body, head)


def decoder(
    latent: int,
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    hidden: Sequence[int] = (512, 512),
    activation: str = "relu",
    weights: str = "glorot",
    layer_norm: bool = False,
    head_gain: float = 1.0,
) -> Network:
    """[..., latent] -> [..., outputs*C*H*W]: the encoder's hidden layers in reverse order.

    `head_gain` is the encoder's alone. Errors as in `encoder`.
    """
    require_positive(latent=latent, outputs=outputs)
    widths = [latent, *reversed(hidden), outputs * math.prod(require_image(shape))]
    return Network((latent,), *_layers(widths, init, activation, weights, layer_norm))


def _layers(
    widths: Sequence[int], init: Generator, activation: str, weights: str, layer_norm: bool
) -> tuple[nn.Sequential, nn.Linear]:
    """Hidden layers and read-out of a perceptron of these widths, inputs and outputs included."""
    for name, known, value in (
        ("activation", ACTIVATIONS, activation),
        ("weights", WEIGHTS, weights),
    ):
        if value not in known:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(known)}")
    *hidden, outputs = widths
    require_positive(hidden=min(hidden), outputs=outputs)
    draw, body = WEIGHTS[weights], nn.Sequential()
    for before, after in itertools.pairwise(hidden):
        body.append(linear(before, after, draw, init))
        if layer_norm:
            body.append(nn.LayerNorm(after))
        body.append(ACTIVATIONS[activation]())
    return body, linear(hidden[-1], outputs, draw, init)


class Linear(nn.Module):
    """An affine map with `heads` * `outputs` outputs; each head is drawn as a layer of its own.

    Unlike nn.Linear's constructor it leaves torch's global generator alone.
    """

    def __init__(self, inputs: int, outputs: int, generator: Generator, *, heads: int = 1) -> None:
        super().__init__()
        weights = [glorot((outputs, inputs), inputs, outputs, generator) for _ in range(heads)]
        self.weight = nn.Parameter(torch.cat(weights))
        self.bias = nn.Parameter(self.weight.new_zeros(heads * outputs))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight, self.bias)


class GaussianNet(nn.Module):
    """Mean and log-scale of a diagonal Gaussian: [..., inputs] -> two of [..., outputs]."""

    def __init__(self, inputs: int, hidden: int, outputs: int, generator: Generator) -> None:
        super().__init__()
        self.first = Linear(inputs, hidden, generator)
        self.second = Linear(hidden, hidden, generator)
        self.head = Linear(hidden, outputs, generator, heads=2)  # one product for both

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.second(torch.tanh(self.first(x))))
        mean, log_scale = self.head(hidden).chunk(2, -1)
        return mean, log_scale


class BernoulliNet(nn.Module):
    """Logits of independent Bernoulli pixels: [..., inputs] -> [..., outputs].

    `pixel_means` [outputs], in [0, 1], are the training means to start from (see `output_bias`).
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        generator: Generator,
        pixel_means: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.first = Linear(inputs, hidden, generator)
        self.second = Linear(hidden, hidden, generator)
        self.head = Linear(hidden, outputs, generator)
        if pixel_means is not None:
            if tuple(pixel_means.shape) != (outputs,):
                raise ValueError(
                    f"pixel_means: shape {list(pixel_means.shape)}, expected {[outputs]}"
                )
            with torch.no_grad():
                self.head.bias.copy_(output_bias(pixel_means))

    def forward(self, z: Tensor) -> Tensor:
        return self.head(torch.tanh(self.second(torch.tanh(self.first(z)))))


def output_bias(pixel_means: Tensor) -> Tensor:
    """logit of the training mean of each pixel, clipped to [0.001, 0.999] (released code)."""
    return torch.logit(pixel_means.clamp(0.001, 0.999))
