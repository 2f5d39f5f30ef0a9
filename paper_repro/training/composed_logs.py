"""Training curves of a composed VAE: which numbers of a step have a meaning, and their units."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor

from paper_repro.estimators.terms import Terms
from paper_repro.training.composed_evaluation import NO_DENSITY
from paper_repro.training.composed_model import ComposedVAE
from paper_repro.training.lagrangian import Lagrangian

Tensors = dict[str, Tensor]


def units(
    p: Mapping[str, Any], objective: ModuleType, model: ComposedVAE, lagrangian: Lagrangian | None
) -> dict[str, str]:
    """Names and units of the training curves: what has a meaning for this combination."""
    nats = "nats/image"
    if getattr(objective, "LIKE", "elbo") == "autoencoder":
        return {"bound": "1", "sse": "sse/image"}
    if lagrangian:
        return {"bound": nats, "rate": nats, **lagrangian.units}
    if p["likelihood"] in NO_DENSITY:
        return {"bound": nats, "rate": nats, "sse": "sse/image"}
    found = {"bound": nats, "elbo": nats, "rate": nats, "distortion": nats}
    learned = hasattr(model.likelihood, "init_params")
    return found | ({"gamma": "mse/pixel"} if learned else {})


def means(terms: Terms, params: Tensors) -> Tensors:
    """Everything that may be logged of an estimator's terms."""
    log_likelihood, log_prior, log_posterior = (term.mean() for term in terms)
    rate = log_posterior - log_prior
    logs = {"elbo": log_likelihood - rate, "rate": rate}
    logs |= {"distortion": -log_likelihood, "sse": -log_likelihood}
    if "likelihood.log_gamma" in params:
        logs["gamma"] = params["likelihood.log_gamma"].exp()
    return logs
