"""WAE-type convolutions of stride 2 with batch norm (Tolstikhin et al., ICLR 2018).

Tolstikhin, Bousquet, Gelly and Schoelkopf, "Wasserstein Auto-Encoders", with the settings of the
released code; Dai and Wipf, "Diagnosing and Enhancing VAE Models" (ICLR 2019) take it as one of
their architectures (with a first convolution of stride 1, which is not done here).

Encoder: 5x5 convolutions of stride 2 with 128-256-512-1024 channels, each followed by batch
norm and ReLU; linear head. Decoder: linear to 8 x 8 x 1024 and ReLU; 5x5 transposed convolutions
of stride 2 with 512-256-128 channels, batch norm and ReLU; 5x5 convolution to the image. That is
for 64 x 64 pixels. For any other image (our rule, which also gives the released code's network
for 28 x 28):

- the encoder has `stages` convolutions, each halving the sides (rounding up), fewer where a side
  is 1 before; the first has `base_dim` channels, each further one twice as many;
- the decoder starts with base_dim * 2^(stages - 1) channels and has stages - 1 transposed
  convolutions, fewer where both sides cannot be halved that often without remainder.

Weights are N(0, 0.01^2), biases zero. The released decay of the running averages is 0.9; Dai and
Wipf use 0.999.
"""

from __future__ import annotations

from torch import Generator, nn

from paper_repro.models.layers import (
    BatchNorm,
    Network,
    conv,
    deconv,
    linear,
    normal,
    pyramid,
    require_positive,
)

COMPONENT = "model"
SIZES = {"base_dim": 128, "stages": 4, "norm_decay": 0.9}
RULES = {
    "base_dim": {"minimum": 1},
    "stages": {"minimum": 1},
    "norm_decay": {"minimum": 0, "exclusiveMaximum": 1},
}
SIDES = {"minimum": 2}

KERNEL = 5
DRAW = normal(0.01)


def encoder(
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    base_dim: int = 128,
    stages: int = 4,
    norm_decay: float = 0.9,
) -> Network:
    """[..., C*H*W] -> [..., outputs]. ValueError naming the argument where a size is not positive
    or a side of the image is 1."""
    require_positive(outputs=outputs, base_dim=base_dim, stages=stages)
    sides, channels, body = pyramid(shape, stages), shape[0], nn.Sequential()
    for stage in range(len(sides) - 1):
        after = base_dim * 2**stage
        body.append(conv(channels, after, KERNEL, 2, DRAW, init))
        body.append(BatchNorm(after, norm_decay))
        body.append(nn.ReLU())
        channels = after
    body.append(nn.Flatten())
    features = channels * sides[-1][0] * sides[-1][1]
    return Network(shape, body, linear(features, outputs, DRAW, init))


def decoder(
    latent: int,
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    base_dim: int = 128,
    stages: int = 4,
    norm_decay: float = 0.9,
) -> Network:
    """[..., latent] -> [..., outputs*C*H*W]. Errors as in `encoder`."""
    require_positive(latent=latent, outputs=outputs, base_dim=base_dim, stages=stages)
    (height, width), *_ = pyramid(shape, stages)
    doublings = 0
    while doublings < stages - 1 and height % 2 == width % 2 == 0:
        height, width, doublings = height // 2, width // 2, doublings + 1
    before = base_dim * 2 ** (stages - 1)
    body = nn.Sequential(
        linear(latent, before * height * width, DRAW, init),
        nn.ReLU(),
        nn.Unflatten(1, (before, height, width)),
    )
    for _ in range(doublings):
        body.append(deconv(before, before // 2, KERNEL, DRAW, init))
        body.append(BatchNorm(before // 2, norm_decay))
        body.append(nn.ReLU())
        before //= 2
    return Network((latent,), body, conv(before, outputs * shape[0], KERNEL, 1, DRAW, init))
