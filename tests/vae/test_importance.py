"""Protocol importance: what is measured of the networks of Burda et al."""

from __future__ import annotations

import pytest
import torch

from paper_repro.data import catalogue
from paper_repro.estimators import path, total
from paper_repro.training.memory import Memory
from paper_repro.vae.protocols.importance import evaluate, gradient_variance
from tests.vae import burda


def test_evaluation_rows_carry_units_and_do_not_depend_on_the_estimator() -> None:
    subject, p = burda.subject(burda.model()), burda.cell().params
    rows = evaluate(subject, p, 0, 40, Memory())
    again = evaluate(subject, {**p, "estimator": "total"}, 0, 40, Memory())
    assert rows == again
    assert evaluate(subject, p, 0, 20, Memory()) == []  # nothing is compared on the way
    by = {(row.metric, row.split, row.at): row.value for row in rows}
    nll = by["nll", "test", "binarisation=fixed,samples=50"]
    elbo = by["elbo", "test", ""]
    assert -elbo > nll > 0  # the 50-sample bound is the tighter one
    assert elbo == pytest.approx(-by["rate", "test", ""] - by["distortion", "test", ""])


def test_gradient_variance_agrees_with_the_covariance_of_stored_gradients() -> None:
    p = burda.cell(compare=["total", "path"], gradient_draws=64).params
    model = burda.model()
    params = model.parameters_by_name()
    x = (catalogue.load("digits").train[:20].flatten(1) > 8).float()
    rows = gradient_variance(model, params, x, p, torch.Generator().manual_seed(5), Memory())
    for row, estimator in zip(rows, (total, path), strict=True):
        generator = torch.Generator().manual_seed(5)
        draws = []
        for _ in range(64):
            posterior = model.posterior(params, x)
            noise = {"z": torch.randn(1, 20, 4, generator=generator)}
            t = estimator.terms(posterior, model.log_joint(params, x, posterior), noise)
            elbo = (t.log_likelihood + t.log_prior - t.log_posterior).mean()
            encoder = [w for n, w in params.items() if n.startswith("encoder")]
            g = torch.autograd.grad(elbo, encoder)
            draws.append(torch.cat([part.flatten() for part in g]).double())
        expected = torch.stack(draws).var(0).sum().item()
        assert row.value == pytest.approx(expected, rel=1e-5)
