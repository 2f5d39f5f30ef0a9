"""Variances of single-sample gradients of a linear decoder, without sampling (Shao et al. 2025).

Derived for the model of "Silent Gradients" (Shao, Liu and Van den Broeck, arXiv 2508.03587), fixed
variance s2; the paper's own statements are not known to us. With e = x - W m - b, g = W^T e / s2
and G = W^T W / s2, the reparameterised gradients by mean m and scale s of a Gaussian have

    Var dL/dm   = diag(G diag(s^2) G)
    Var dL/ds_i = g_i^2 + G_ii^2 s_i^2 + sum_j G_ij^2 s_j^2

and score-function gradients, (log p(x | z) - B) d log q(z), are summed over all states. Gradients
of the divergence are exact in both and add nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from paper_repro.studies.silent_gradients.tasks.small_models import SmallModel, Tensors


def reparameterised(model: SmallModel) -> Tensors:
    """Variances of one sample's gradient by mean and log_scale, [B, D] each."""
    weight, scale = model.decoder["weight"], model.params["log_scale"].exp()
    error = model.x - model.params["mean"] @ weight.mT - model.decoder["bias"]
    slope = error @ weight / model.variance
    gram = weight.mT @ weight / model.variance
    by_mean = scale.square() @ gram.square()
    by_scale = slope.square() + (gram.diagonal() * scale).square() + by_mean
    return {"mean": by_mean, "log_scale": scale.square() * by_scale}


def score_function(model: SmallModel, baseline: float) -> Tensors:
    """Variances of one sample's gradient, parameter -> like the parameter."""
    z, _ = model.states(model.params)
    advantage = fixed_log_likelihood(model, z) - baseline
    found = {}
    for name, score in scores(model, z).items():
        draw = advantage.reshape(*advantage.shape, *[1] * (score.ndim - 2)) * score
        mean = model.expectation(model.params, draw)
        found[name] = model.expectation(model.params, (draw - mean).square())
    return found


def mean_reward(model: SmallModel) -> float:
    """The mean over images of E log p(x | z): where a moving average of rewards settles."""
    z, _ = model.states(model.params)
    return float(model.expectation(model.params, fixed_log_likelihood(model, z)).mean())


def fixed_log_likelihood(model: SmallModel, z: Tensor) -> Tensor:
    """log N(x; W z + b, s2) at z [S, B, D]: [S, B]."""
    error = model.x - z @ model.decoder["weight"].mT - model.decoder["bias"]
    constant = model.x.shape[-1] * math.log(2 * math.pi * model.variance)
    return -0.5 * (constant + error.square().sum(-1) / model.variance)


def scores(model: SmallModel, z: Tensor) -> Tensors:
    """d log q(z) / d parameters at z [S, B, D]: [S, *parameter]."""
    params = model.params
    if model.latent == "gaussian":
        scale = params["log_scale"].exp()
        noise = (z - params["mean"]) / scale
        return {"mean": noise / scale, "log_scale": noise.square() - 1}
    logits = params["logits"]
    if model.latent == "categorical":
        return {"logits": z.unflatten(-1, logits.shape[-2:]) - logits.softmax(-1)}
    up = (z + 1) / 2 if model.latent == "bernoulli" else z
    return {"logits": up - torch.sigmoid(logits)}
