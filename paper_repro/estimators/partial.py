"""Partial path derivative of a mixture: one component sampled, its own score alone removed.

Our interpretation: Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017), plot a cheaper
variant for mixtures without spelling it out. We draw one component c ~ pi, reparameterise inside
it, take the total derivative of log p - log q at z_c and add the score of q_c(z_c), the density
that was sampled, instead of the score of the whole mixture. The mixture's logits, through which
no sample can be reparameterised, get the score-function gradient of the categorical. Unbiased for
the ELBO, but nothing makes it vanish at q = p.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.posterior import Noise, require_noise
from paper_repro.estimators.terms import LogJoint, Terms, checked, require_kind, with_gradient

SUPPORTS = ("mixture",)
OBJECTIVES = ("elbo",)


def terms(posterior: GaussianMixture, log_joint: LogJoint, noise: Noise) -> Terms:
    """Terms [K, *batch] at one draw z [K, *batch, D] from a sampled component."""
    require_kind("partial", SUPPORTS, posterior)
    chosen = _choose(posterior, noise)
    z = (chosen.movedim(-1, 0).unsqueeze(-1) * posterior.rsample(noise)).sum(0)
    own_score = (chosen * posterior.component_log_probs(z.detach())).sum(-1)
    choice = (chosen * posterior.logits.log_softmax(-1)).sum(-1)
    # Each term carries its own share of the choice's score, so that any weighting of the three
    # (a beta-ELBO's, say) stays unbiased.
    log_likelihood, log_prior, log_q = (
        with_gradient(term, term + term.detach() * choice)
        for term in checked(log_joint(z), posterior.log_prob(z))
    )
    return Terms(log_likelihood, log_prior, with_gradient(log_q, log_q - own_score))


def _choose(posterior: GaussianMixture, noise: Noise) -> Tensor:
    """One-hot choice of a component [K, *batch, C], by inversion of the cumulated weights."""
    shape = posterior.noise_shapes(1)["component"]
    uniform = torch.special.ndtr(require_noise(noise, "component", shape)).unsqueeze(-1)
    edges = posterior.logits.detach().softmax(-1).cumsum(-1)[..., :-1]
    index = (uniform > edges).sum(-1, keepdim=True)
    components = torch.arange(posterior.logits.shape[-1], device=uniform.device)
    return (index == components).to(uniform.dtype)
