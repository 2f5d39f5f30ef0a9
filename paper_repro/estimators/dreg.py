"""Doubly reparameterised gradient (DReG) of the IWAE bound.

Tucker, Lawson, Gu and Maddison, "Doubly Reparameterized Gradient Estimators for Monte Carlo
Objectives" (ICLR 2019), equation 8: with W_i the normalised importance weights, held constant,
the encoder receives sum_i W_i^2 (d log w_i / d z_i) dz_i/dphi, unbiased for the IWAE bound, and
the decoder its usual gradient. With one sample W = 1 and this is the path derivative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.distributions.posterior import Latent, Noise, Reparameterised
from paper_repro.estimators.terms import LogJoint, Terms, assemble, require_kind, with_gradient

SUPPORTS = ("gaussian", "two_layer", "flow")
OBJECTIVES = ("iwae",)


def terms(posterior: Reparameterised, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] whose samples pass on W_i times the gradient that reaches them.

    The bound itself contributes the other W_i. Costs one more forward pass of `log_joint`: the
    weights must be known before the graph is built.
    """
    require_kind("dreg", SUPPORTS, posterior)
    z, frozen = posterior.rsample(noise), posterior.frozen()
    with torch.no_grad():
        log_likelihood, log_prior = log_joint(z)
        weights = (log_likelihood + log_prior - frozen.log_prob(z)).softmax(0).unsqueeze(-1)
    z = _scale_gradient(z, weights)
    return assemble(posterior, log_joint(z), frozen.log_prob(z))


def _scale_gradient(z: Latent, weights: Tensor) -> Latent:
    """z itself, its gradient multiplied by `weights` ([K, *batch, 1]).

    The layers of a tuple are scaled where they are used, after all have been drawn: the path
    from h1 into h2 lies behind the scaling and is not scaled twice.
    """
    if isinstance(z, tuple):
        return tuple(_scale_gradient(layer, weights) for layer in z)
    return with_gradient(z, weights * z)
