"""Gradient norms during training: of the latent variable, the decoder and the encoder.

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021), Figure
4(b), plot ||dL/dz||_2 over training without saying which norm. Logged are all that it may be:

- ``grad_z``: mean over the batch of an image's norm, of the negative ELBO (half of their eq. 3),
  at the sampled z: their public code's loss;
- ``grad_z_eq3``: twice that, the norm of their eq. (3);
- ``grad_z_batch``: Frobenius norm of the gradient of the batch's mean loss;

and the norms of the gradient of that mean with respect to the decoder's first weight
(``grad_decoder``) and the encoder's last (``grad_encoder``), since other gradients are said to
behave alike.

z is no parameter, so that a probe, which is zero and stays zero, is added to it: the gradient of
the probe is that of z. With a divergence in closed form it is that of the likelihood alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor

from paper_repro.estimators.terms import LogJoint

COMPONENT = "part"
NAMED_BY = ("watch",)
PROBE = "probe.z"
UNITS = dict.fromkeys(("grad_z", "grad_z_eq3", "grad_z_batch", "grad_decoder", "grad_encoder"), "1")

Tensors = dict[str, Tensor]


def probed(joint: LogJoint, probe: Tensor) -> LogJoint:
    """The log joint at z + probe, which is z."""
    return lambda z: joint(z + probe)


def norms(params: Iterable[tuple[str, Tensor]]) -> Callable[[Tensors], Tensors]:
    """Gradients of the batch's mean loss by parameter -> the norms above, 0-d each.

    `params` are the parameters in the order of the networks' layers, with the probe [K, B, D].
    """
    weights = [name for name, tensor in params if tensor.ndim > 1]
    first = next(name for name in weights if name.startswith("decoder."))
    last = [name for name in weights if name.startswith("encoder.")][-1]

    def watch(gradients: Tensors) -> Tensors:
        probe = gradients[PROBE]
        draws = probe.shape[0] * probe.shape[1]  # each has this share of the batch's mean
        own = draws * probe.norm(dim=-1).mean()
        return {
            "grad_z": own,
            "grad_z_eq3": 2 * own,
            "grad_z_batch": probe.norm(),
            "grad_decoder": gradients[first].norm(),
            "grad_encoder": gradients[last].norm(),
        }

    return watch
