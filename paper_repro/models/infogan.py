"""InfoGAN-type pair of convolutions with spectral norm (Dai and Wipf, ICLR 2019).

Dai and Wipf, "Diagnosing and Enhancing VAE Models", with the settings of the released code; the
architecture is that of Chen et al., "InfoGAN" (NIPS 2016), the spectral normalisation that of
Miyato et al. (ICLR 2018), in the encoder only.

Encoder: 4x4 convolution of stride 2 to 64 channels, leaky ReLU (0.2); the same to 128 channels
with batch norm; linear to 1024 with batch norm, leaky ReLU; linear head. Decoder: linear to
1024, then to H/4 x W/4 x 128, 4x4 transposed convolution of stride 2 to 64, each with batch norm
and ReLU; 4x4 transposed convolution of stride 2 to the image. Weights are N(0, 0.02^2) (the
released code truncates those of the encoder's convolutions at two standard deviations), biases
zero. H and W must be multiples of 4.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from paper_repro.models.layers import (
    BatchNorm,
    Network,
    conv,
    deconv,
    linear,
    normal,
    require_image,
    require_positive,
)

COMPONENT = "model"
SIZES = {"base_dim": 64, "fc_dim": 1024, "spectral_norm": True, "norm_decay": 0.999}
RULES = {
    "base_dim": {"minimum": 1},
    "fc_dim": {"minimum": 1},
    "norm_decay": {"minimum": 0, "exclusiveMaximum": 1},
}
SIDES = {"multipleOf": 4}

DRAW = normal(0.02)


class SpectralNorm(nn.Module):
    """`layer` with its weight, as a matrix [out, in], divided by its largest singular value.

    The value is estimated by one step of the power iteration from the buffer `u` [in], which
    each forward pass in training replaces, in place, by what it arrived at. The singular
    vectors are held constant in the gradient.
    """

    u: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d, generator: Generator) -> None:
        super().__init__()
        self.layer = layer
        inputs = layer.weight[0].numel()
        self.register_buffer("u", torch.randn(inputs, generator=generator, device=generator.device))

    def forward(self, x: Tensor) -> Tensor:
        matrix = self.layer.weight.flatten(1)
        with torch.no_grad():
            v = nn.functional.normalize(matrix @ self.u, dim=0)
            u = nn.functional.normalize(v @ matrix, dim=0)
            if self.training:
                self.u.copy_(u)
        weight = self.layer.weight / (v @ matrix @ u)
        if isinstance(self.layer, nn.Linear):
            return nn.functional.linear(x, weight, self.layer.bias)
        return nn.functional.conv2d(
            x, weight, self.layer.bias, self.layer.stride, self.layer.padding
        )


def encoder(
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    base_dim: int = 64,
    fc_dim: int = 1024,
    spectral_norm: bool = True,
    norm_decay: float = 0.999,
) -> Network:
    """[..., C*H*W] -> [..., outputs]. ValueError naming `shape` where a side is not a multiple of
    4, or a size that is not positive."""
    require_positive(outputs=outputs, base_dim=base_dim, fc_dim=fc_dim)
    channels, height, width = _quarters(shape)

    def norm(layer: nn.Linear | nn.Conv2d) -> nn.Module:
        return SpectralNorm(layer, init) if spectral_norm else layer

    body = nn.Sequential(
        norm(conv(channels, base_dim, 4, 2, DRAW, init)),
        nn.LeakyReLU(0.2),
        norm(conv(base_dim, 2 * base_dim, 4, 2, DRAW, init)),
        BatchNorm(2 * base_dim, norm_decay),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        norm(linear(2 * base_dim * height * width, fc_dim, DRAW, init)),
        BatchNorm(fc_dim, norm_decay),
        nn.LeakyReLU(0.2),
    )
    return Network(shape, body, norm(linear(fc_dim, outputs, DRAW, init)))


def decoder(
    latent: int,
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    base_dim: int = 64,
    fc_dim: int = 1024,
    spectral_norm: bool = True,
    norm_decay: float = 0.999,
) -> Network:
    """[..., latent] -> [..., outputs*C*H*W]. `spectral_norm` is the encoder's alone. Errors as in
    `encoder`."""
    require_positive(latent=latent, outputs=outputs, base_dim=base_dim, fc_dim=fc_dim)
    channels, height, width = _quarters(shape)
    features = 2 * base_dim * height * width
    body = nn.Sequential(
        linear(latent, fc_dim, DRAW, init),
        BatchNorm(fc_dim, norm_decay),
        nn.ReLU(),
        linear(fc_dim, features, DRAW, init),
        BatchNorm(features, norm_decay),
        nn.ReLU(),
        nn.Unflatten(1, (2 * base_dim, height, width)),
        deconv(2 * base_dim, base_dim, 4, DRAW, init),
        BatchNorm(base_dim, norm_decay),
        nn.ReLU(),
    )
    return Network((latent,), body, deconv(base_dim, outputs * channels, 4, DRAW, init))


def _quarters(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """(C, H/4, W/4)."""
    channels, height, width = require_image(shape)
    if height % 4 or width % 4:
        raise ValueError(f"shape: {list(shape)}, height and width must be multiples of 4")
    return channels, height // 4, width // 4
