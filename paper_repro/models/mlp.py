"""Multilayer perceptrons with hidden layers of any number and width, tanh, ReLU, GELU or SiLU, with
or without layer normalisation (Ba, Kiros and Hinton, 2016).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Generator, nn

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
