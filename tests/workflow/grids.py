"""Grids of one experiment, expanded as if they were a study's own."""

from __future__ import annotations

from typing import Any

import pytest

from paper_repro import grid, strict_yaml
from paper_repro.cell import Cell
from paper_repro.errors import UserError

STUDY = "sticking_the_landing"
VAE = {
    "dataset": "digits",
    "model": "mlp",
    "latent": "gaussian",
    "dim": 4,
    "likelihood": "gaussian",
    "objective": "elbo",
    "estimator": "exact_kl",
    "steps": 10,
}
BURDA = {
    "dataset": "digits",
    "preprocessing": "binarised",
    "model": "burda",
    "likelihood": "bernoulli",
    "estimator": "path",
    "objective": "elbo",
    "protocol": "importance",
    "layers": 1,
    "k": 1,
    "steps": 10,
}


def expand(monkeypatch: pytest.MonkeyPatch, task: str, params: dict[str, Any]) -> list[Cell]:
    """The cells of one experiment ``e`` with these parameters."""
    written = {"e": {"task": task, "title": "t", "seeds": 1, "params": params}}
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    return grid.expand(STUDY, "paper")


def refusal(monkeypatch: pytest.MonkeyPatch, task: str, params: dict[str, Any]) -> str:
    """The one line that refuses these parameters."""
    with pytest.raises(UserError) as caught:
        expand(monkeypatch, task, params)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read(text: str) -> dict[str, Any]:
    """Parameters as a user writes them."""
    return strict_yaml.parse(text, "grid.yaml")
