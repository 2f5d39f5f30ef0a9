"""What a run measures and shows: splits, pictures, and how gradients are clipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paper_repro.rows import Row
from paper_repro.training.problem import Problem
from paper_repro.vae import data as pixels
from paper_repro.vae import task
from paper_repro.vae.data import Pixels, as_pictures
from paper_repro.vae.model import EncoderDecoder
from tests.training import problems
from tests.vae import tiny

ALL = ["train", "validation", "test"]
SOLVED = {"likelihood": "gaussian_closed_form", "preprocessing": "dequantised"}


def rows_of(problem: Problem) -> list[Row]:
    params = {name: p.detach() for name, p in problem.params.items()}
    return problem.evaluate(params, problem.state, 20)


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the task see `digits` with some fields replaced."""
    data = pixels.load("digits", "unit", "cpu")

    def replaced(**fields: Any) -> Pixels:
        changed = replace(data, **fields)
        monkeypatch.setattr(pixels, "load", lambda *_: changed)
        return changed

    return replaced


def test_other_splits_change_no_number_of_the_test_images() -> None:
    alone = rows_of(tiny.build(**SOLVED))
    together = rows_of(tiny.build(**SOLVED, splits=ALL))
    assert alone == [row for row in together if row.split == "test"]
    kinds = {split: {(r.metric, r.at) for r in together if r.split == split} for split in ALL}
    assert kinds["train"] == kinds["validation"] == kinds["test"] - {("mmd", "")}
    gamma = {row.value for row in together if row.metric == "gamma"}
    assert len(gamma) == 1  # settled once


@pytest.mark.parametrize(("split", "count"), [("train", 16), ("validation", 12)])
def test_a_split_s_rows_are_those_of_its_images(digits: Any, split: str, count: int) -> None:
    exact = [("mse", "z=mean"), ("active_units", "threshold=0.01")]
    exact += [("rate", "estimate=closed_form")]

    def values(rows: list[Row], split: str) -> list[float]:
        found = {(r.metric, r.at): r.value for r in rows if r.split == split}
        return [found[key] for key in exact]

    found = rows_of(tiny.build(splits=ALL))
    images = getattr(pixels.load("digits", "unit", "cpu"), split)
    digits(test=images[:count])
    moved = rows_of(tiny.build(test_images=count))
    assert values(moved, "test") == pytest.approx(values(found, split), rel=1e-6)
    assert values(found, split) != pytest.approx(values(found, "test"), rel=1e-6)


@pytest.mark.parametrize("preprocessing", ["unit", "dequantised"])
def test_pictures_of_perfect_means_are_the_originals(preprocessing: str) -> None:
    data = pixels.load("digits", preprocessing, "cpu")
    images = data.test[:50]
    offset, levels = (0.5, 17) if preprocessing == "dequantised" else (0, 16)
    shown = data.shown((images + offset) / levels)
    assert shown.dtype == torch.uint8
    assert torch.equal(shown, (images.float() * 255 / 16).round().byte().reshape(50, 1, 8, 8))
    outside = data.shown(torch.tensor([[-0.3, 1.7] * 32])).unique()
    assert outside.tolist() == [0, 255]


@pytest.mark.parametrize("latent", ["gaussian", "bernoulli"])
def test_pictures_are_reconstructions_at_the_mean_or_at_hard_samples(
    latent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = tiny.build(latent=latent, estimator="rloo", k=2, pictures=3, centre=True)
    assert problem.arrays is not None
    decoded, decode = [], EncoderDecoder.decode
    monkeypatch.setattr(
        EncoderDecoder, "decode", lambda self, w, z: (decoded.append(z), decode(self, w, z))[1]
    )
    arrays = problem.arrays({name: p.detach() for name, p in problem.params.items()})
    assert set(arrays) == {f"{what}_{s}" for what in ("pictures", "originals") for s in ALL[1:]}
    assert {(a.shape, a.dtype) for a in arrays.values()} == {((3, 1, 8, 8), np.dtype("uint8"))}
    data = pixels.load("digits", "unit", "cpu")
    original = as_pictures(data.test[:3] / 16, (1, 8, 8)).numpy()
    np.testing.assert_array_equal(arrays["originals_test"], original)
    hard = all(bool((z.abs() == 1).all()) for z in decoded)
    assert hard == (latent == "bernoulli")


@pytest.mark.parametrize("name", ["celeba", "celeba_half_64", "tiny_imagenet32"])
def test_photographs_that_are_not_ours_are_not_saved(digits: Any, name: str) -> None:
    digits(name=name)
    problem = tiny.build(pictures=2)
    assert problem.arrays is not None
    arrays = problem.arrays({name: p.detach() for name, p in problem.params.items()})
    assert set(arrays) == {"pictures_test", "pictures_validation"}


def test_pictures_of_a_run_are_made_with_its_running_averages(tmp_path: Path) -> None:
    cell = tiny.cell(**tiny.BATCH_NORM, pictures=2, steps=20, lr=0.05)
    out = problems.train(cell, tmp_path, build=task.build)
    problem = task.build(cell, 0, "cpu")
    live = tiny.steps(tiny.bundle(problem), 20)
    assert problem.arrays is not None
    ended = live.member(0, {**live.state, **live.params})
    with np.load(out / "seed0" / "arrays.npz") as saved:
        np.testing.assert_array_equal(
            saved["pictures_test"], problem.arrays(ended)["pictures_test"]
        )
        start = problem.arrays({**ended, **problem.state})["pictures_test"]
        assert not np.array_equal(saved["pictures_test"], start)


def test_clipping_binds_each_part_of_a_guided_model_in_a_bundle_as_alone() -> None:
    changes = tiny.GUIDED | {"preprocessing": "dequantised"}
    assert tiny.agrees_with_its_members(lambda s: tiny.build(s, **changes, clip=1.0))
    free, loose, tight = (
        tiny.steps(tiny.bundle(tiny.build(**changes, clip=clip)), 3).params
        for clip in (0, 1e9, 1.0)
    )
    assert all(torch.equal(free[name], loose[name]) for name in free)
    assert not any(torch.equal(free[name], tight[name]) for name in free)
