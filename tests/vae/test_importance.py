"""Protocol importance: what is measured of the networks of Burda et al."""

from __future__ import annotations

import pytest

from paper_repro.training.memory import Memory
from paper_repro.vae.protocols.importance import evaluate
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


def test_gradients_are_compared_at_every_mark_and_measured_alike() -> None:
    p = burda.cell(compare=["total", "path"], gradient_draws=8).params
    subject = burda.subject(burda.model())
    rows = evaluate(subject, p, 0, 20, Memory())
    assert [(row.estimator, row.kind) for row in rows] == [("total", "curve"), ("path", "curve")]
    assert rows == evaluate(subject, p, 0, 40, Memory())[:2]  # noise does not depend on the step
