"""What is asked of every network, as yes-or-no questions that networks broken on purpose fail."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


def tensors(net: nn.Module) -> dict[str, Tensor]:
    """Copies of parameters and buffers."""
    return {name: t.detach().clone() for name, t in net.state_dict().items()}


def first_output_comes_first(decode: nn.Module, shape: tuple[int, int, int], latent: int) -> bool:
    """Of two outputs a pixel, all of the first come before the second, each [C, H, W]: seen with
    a read-out whose bias numbers the channels and whose weight is zero."""
    channels, height, width = shape
    number = torch.arange(2.0 * channels)
    bias = decode.head.bias
    repeats = bias.numel() // number.numel()  # a linear read-out has a bias for every pixel
    with torch.no_grad():
        decode.head.weight.zero_()
        bias.copy_(number.repeat_interleave(repeats))
        out = decode.eval()(torch.ones(4, latent))
    expected = number.repeat_interleave(height * width)
    return torch.equal(out, expected.expand(4, -1))


def calls_keep_to_their_buffers(net: nn.Module, x: Tensor) -> bool:
    """In training, a call with copies of the buffers moves the copies and not the module's own."""
    before, given = tensors(net), tensors(net)
    functional_call(net.train(), given, (x,))
    buffers = [name for name, _ in net.named_buffers()]
    return all(torch.equal(t, before[name]) for name, t in net.state_dict().items()) and not any(
        torch.equal(given[name], before[name]) for name in buffers
    )


def weights_are_drawn_independently(net: nn.Module) -> bool:
    """No two weights start with the same numbers (up to their scale)."""
    weights = [p.detach().flatten() for p in net.parameters() if p.dim() > 1]
    starts = {tuple((w[1:4] / w[0]).tolist()) for w in weights}
    return len(starts) == len(weights)


def evaluation_is_of_each_example_alone(net: nn.Module, x: Tensor) -> bool:
    """In evaluation an output does not depend on the rest of the batch [N, D]."""
    out = net.eval()(x)
    return all(torch.allclose(out[i], net(x[i]), rtol=1e-9, atol=1e-9) for i in range(len(x)))
