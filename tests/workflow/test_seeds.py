"""Runs that are to confirm something use seeds that no pilot used."""

from __future__ import annotations

from typing import Any

import pytest

from paper_repro import grid
from paper_repro.errors import UserError
from tests.workflow.grids import STUDY, VAE


def expand(monkeypatch: pytest.MonkeyPatch, tier: str, **experiments: dict[str, Any]) -> Any:
    written = {
        name: {"task": "vae", "title": "t", "seeds": 3, "params": VAE, **own}
        for name, own in experiments.items()
    }
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    return {cell.experiment: cell.seeds for cell in grid.expand(STUDY, tier)}


def test_seeds_begin_with_the_first_one(monkeypatch):
    tiers = {"reduced": {"first_seed": 100, "seeds": 2}, "quick": {"seeds": 1}}
    own = {"pilot": {}, "confirms": {"first_seed": 10, "tiers": tiers}}
    other = {"params": {**VAE, "dim": 5}}
    own["confirms"] |= other
    assert expand(monkeypatch, "paper", **own) == {"pilot": (0, 1, 2), "confirms": (10, 11, 12)}
    assert expand(monkeypatch, "reduced", **own)["confirms"] == (100, 101)
    assert expand(monkeypatch, "quick", **own)["confirms"] == (10,)


def test_fewer_seeds_are_the_first_of_them(monkeypatch):
    written = {"e": {"task": "vae", "title": "t", "seeds": 3, "first_seed": 7, "params": VAE}}
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    assert grid.expand(STUDY, "paper", 2)[0].seeds == (7, 8)


def test_a_number_comes_from_a_run_of_the_same_seed(monkeypatch):
    learned = {**VAE, "likelihood": "gaussian_gamma"}
    fixed = {**learned, "rates": {"likelihood": 0}, "gamma": {"of": "learned"}}
    own = {"learned": {"params": learned}, "fixed": {"params": fixed, "first_seed": 2}}
    with pytest.raises(UserError, match=r"fixed: learned, which it needs, has no seed 3"):
        expand(monkeypatch, "paper", **own)
    own["learned"]["first_seed"] = 2
    assert expand(monkeypatch, "paper", **own)["fixed"] == (2, 3, 4)
