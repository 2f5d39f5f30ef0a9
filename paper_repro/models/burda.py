"""The networks of Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (ICLR 2016).

Section 5, as reused by Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017): two tanh layers
and a linear read-out, with one or two stochastic layers (`vae.layered`). Weights are Glorot-uniform
(Glorot and Bengio, AISTATS 2010) and biases zero. The released code draws all layers from one seed,
so that layers of equal shape start equal; here each layer is drawn independently.

One layer:  encoder GaussianNet(784, 200, 50), decoder BernoulliNet(50, 200, 784).
Two layers: encoders GaussianNet(784, 200, 100) and GaussianNet(100, 100, 50), decoders
GaussianNet(50, 100, 100) and BernoulliNet(100, 200, 784).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from paper_repro.models.layers import glorot

COMPONENT = "model"
NETWORKS = "layered"
SUPPORTS = ("gaussian", "two_layer")
LIKELIHOODS = ("bernoulli",)
PROTOCOLS = ("importance",)
SIZES = {"width": 200}
RULES = {"width": {"minimum": 2}}


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
