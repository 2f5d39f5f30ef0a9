"""Scores of outliers: closed forms, pairing, refusals and what identifies a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro import fits, grid, parameters, registry
from paper_repro.cell import Cell
from paper_repro.data import names, search
from paper_repro.errors import UserError
from paper_repro.metrics.score_histogram import EDGES, histograms
from paper_repro.training.problem import Problem
from paper_repro.vae import data as pixels
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.parts import outliers
from tests.vae import tiny

SCREEN = {"outliers": "manifold", "likelihood": "gaussian_gamma", "estimator": "exact_kl"}
PLAIN = {
    "outliers": "manifold",
    "likelihood": "squared_error",
    "objective": "autoencoder",
    "objective_options": {"g": "identity", "h": "none"},
    "estimator": "deterministic",
}
STEPS = 20


def measured(problem: Problem, step: int = STEPS, **at: Tensor) -> dict[tuple[str, str], float]:
    """The rows of the untrained model, or of other weights."""
    weights = {name: p.detach() for name, p in problem.params.items()} | at
    found = problem.evaluate(weights, problem.state, step)
    assert all(row.split == "test" for row in found)
    return {(row.metric, row.at): row.value for row in found}


def flat(problem: Problem, level: float) -> dict[str, Tensor]:
    """Weights under which every reconstruction has this grey level, whatever z, and q = prior."""
    dead = {n: torch.zeros_like(p) for n, p in problem.params.items() if "likelihood" not in n}
    last = max(n for n in dead if n.startswith("decoder") and n.endswith("bias"))
    return dead | {last: torch.full_like(dead[last], level)}


def images(name: str) -> Tensor:
    data = pixels.load(name, "unit", "cpu")
    return data.preprocess(data.test[: tiny.TINY["test_images"]], torch.Generator())


def pairs(own: Tensor, other: Tensor) -> float:
    """AUROC by counting pairs."""
    difference = other[:, None] - own
    return float(((difference > 0).double() + 0.5 * (difference == 0)).mean())


def wrong_about_a_flat_decoder(evaluate: Callable[..., Any] | None = None) -> bool:
    """With a decoder of one grey level both scores have closed forms: the distances of the images
    from it, ||x - c||^2, and half of that over gamma, since the rate is zero."""
    problem = tiny.build(**SCREEN)
    if evaluate:
        problem.evaluate = evaluate(problem)
    found = measured(problem, **flat(problem, 0.3))
    own, other = ((images(n).double() - 0.3).square().sum(-1) for n in ("digits", "manifold"))
    elbo = -(0.5 * other + 32 * np.log(2 * np.pi))
    expected = {
        ("outlier_sse", "z=mean"): float(other.mean()),
        ("outlier_elbo", "samples=2"): float(elbo.mean()),
        ("auroc", "score=sse"): pairs(own, other),
        ("auroc", "score=elbo"): pairs(own, other),
        ("sse", "z=mean"): float(own.mean()),  # the inliers' own row, of the same images
    }
    assert 0.05 < pairs(own, other) < 0.95
    return any(abs(found[key] / value - 1) > 1e-5 for key, value in expected.items())


def test_scores_of_a_flat_decoder_are_the_closed_forms() -> None:
    assert not wrong_about_a_flat_decoder()


def test_wrong_scores_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = outliers._seen

    def training_images(data: Any, outliers: Any, count: int) -> list[Tensor]:
        """Inliers that the model has seen."""
        return [
            data.preprocess(data.train[:count], torch.Generator()),
            right(data, outliers, count)[1],
        ]

    def reversed_sets(data: Any, outliers: Any, count: int) -> list[Tensor]:
        return right(data, outliers, count)[::-1]

    def root(trained: Any, x: Tensor) -> Tensor:
        """The distance, not its square."""
        return (x - trained.mean(trained.posterior(x).mean_z())).square().sum(-1).sqrt()

    def elbo_of_the_mean(trained: Any, x: Tensor, samples: int, noise: Any) -> Tensor:
        """Without the normaliser of p(x|z)."""
        return -0.5 * root(trained, x).square().double()

    for name, wrong in (
        ("_seen", training_images),
        ("_seen", reversed_sets),
        ("_errors", root),
        ("_elbo", elbo_of_the_mean),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(outliers, name, wrong)
            assert wrong_about_a_flat_decoder(), name


def test_the_elbo_score_contains_the_rate() -> None:
    """A flat decoder and an encoder whose posterior mean is far from the prior for every image."""
    problem = tiny.build(**SCREEN)
    weights = flat(problem, 0.3)
    last = max(n for n in weights if n.startswith("encoder") and n.endswith("bias"))
    weights[last] = torch.tensor([3.0, 0, 0, 0])
    (near,), (far,) = (
        [v for (metric, _), v in measured(problem, **w).items() if metric == "outlier_elbo"]
        for w in (flat(problem, 0.3), weights)
    )
    assert near - far == pytest.approx(4.5, rel=1e-4)


def test_nothing_is_scored_before_the_end_or_without_outliers() -> None:
    assert not any(metric == "auroc" for metric, _ in measured(tiny.build(**SCREEN), step=10))
    without = tiny.build(likelihood="gaussian_gamma", estimator="exact_kl")
    found = measured(without)
    assert not any("outlier" in metric or metric == "auroc" for metric, _ in found)
    assert without.arrays is None
    with_outliers = measured(tiny.build(**SCREEN))
    assert found.items() <= with_outliers.items()  # no other number depends on them


def test_divergence_is_a_result() -> None:
    problem = tiny.build(**SCREEN)
    broken = {n: p.detach() * torch.nan for n, p in problem.params.items()}
    assert np.isnan(measured(problem, **broken)["auroc", "score=sse"])


def test_a_plain_autoencoder_learns_errors_and_has_no_elbo_score() -> None:
    problem = tiny.build(**PLAIN, lr=3e-3)
    live = tiny.bundle(problem)
    batch = problem.draw(0)
    loss = problem.loss(problem.params, problem.state, batch)[0]
    found = measured(problem)
    assert not any(at == "score=elbo" for _, at in found)
    with torch.no_grad():
        p = parameters.complete("sticking_the_landing", "vae", tiny.TINY | PLAIN, "test")
        data = pixels.load("digits", "unit", "cpu")
        model = EncoderDecoder(p, data.images, lambda part: torch.Generator())
        x = tiny.preprocessed(batch)
        z = model.posterior(problem.params, x).mean_z()
        mse = (x - model.mean(problem.params, z)).square().mean()
    assert float(loss.detach()) == pytest.approx(float(mse), rel=1e-5)  # and no penalty on z
    after = tiny.steps(live, STEPS).snapshot(0)
    problem.params = after.params
    assert measured(problem)["sse", "z=mean"] < found["sse", "z=mean"]


def test_arrays_hold_small_histograms_and_pictures_of_the_outliers() -> None:
    problem = tiny.build(**SCREEN, pictures=3)
    assert problem.arrays is not None
    found = problem.arrays({n: p.detach() for n, p in problem.params.items()})
    assert found["pictures_outliers"].shape == found["originals_outliers"].shape == (3, 1, 8, 8)
    shown = (images("manifold")[:3] * 255).round().byte().unflatten(1, (1, 8, 8))
    assert np.array_equal(found["originals_outliers"], shown.numpy())
    for name in ("inliers", "outliers"):
        counts, edges = found[f"score_{name}"], found["score_edges"]
        assert counts.sum() == 12
        assert len(edges) == len(counts) + 1
    middle = (EDGES[:-1] * EDGES[1:]) ** 0.5
    rough = float((found["score_outliers"] * middle).sum() / 12)
    assert rough == pytest.approx(measured(problem)["outlier_sse", "z=mean"], rel=0.07)


def test_histograms_lose_no_score_but_those_that_are_not_finite() -> None:
    scores = torch.tensor([0.0, 1e-9, 1.0, 1e9, torch.nan, torch.inf])
    counts = histograms({"x": scores})["score_x"]
    assert counts[0] == 2
    assert counts[-1] == 1
    assert counts.sum() == 4


def test_outliers_must_be_another_set_of_the_same_shape() -> None:
    with pytest.raises(UserError, match=r"outliers: images of 'faces' are \[1, 24, 24\]"):
        tiny.build(outliers="faces")
    with pytest.raises(UserError, match="outliers: 'digits' is the data set of the run"):
        tiny.build(outliers="digits")
    cell = tiny.cell(outliers="mnits")
    with pytest.raises(UserError, match="here: outliers: 'mnits' is not one of digits"):
        fits.check_parts(cell, "here")


def test_the_key_of_a_run_covers_both_sets() -> None:
    alone, both = tiny.build(), tiny.build(outliers="manifold")
    assert alone.fingerprint == names.DATASETS["digits"]["fingerprint"]
    assert both.fingerprint != alone.fingerprint
    read = registry.PACKAGE / "data" / "procedural.py"
    assert read in grid.sources(tiny.cell(outliers="manifold"))
    assert read not in grid.sources(tiny.cell())


def folders(path: Path, *held: str) -> Path:
    for name in held:
        (path / names.DATASETS[name]["folder"]).mkdir(parents=True)
    return path


def point(monkeypatch: pytest.MonkeyPatch, environment: Path, data_dir: Path | None) -> str:
    monkeypatch.setenv(search.VARIABLE, str(environment))
    cell = Cell("s", "e", "c", "smoke", "t", {"dataset": "fashion_mnist", "outliers": "mnist"})
    search.point_to(cell.datasets, data_dir, download=False)
    return os.environ[search.VARIABLE]


def test_both_sets_are_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = folders(tmp_path / "both", "mnist", "fashion_mnist")
    one, other = folders(tmp_path / "one", "fashion_mnist"), folders(tmp_path / "other", "mnist")
    assert point(monkeypatch, one, both) == str(both)
    with pytest.raises(UserError, match="dataset mnist: no MNIST/raw"):
        point(monkeypatch, one, None)
    with pytest.raises(UserError, match="put them into one folder"):
        point(monkeypatch, other, one)
    folders(tmp_path / "data", "mnist")  # ./data is looked into beside the named folder
    assert point(monkeypatch, one, None) == str(one)
