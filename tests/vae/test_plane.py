"""Protocol plane: final rows at weights whose results are known by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro.data import catalogue
from paper_repro.vae.parts import classifier
from paper_repro.vae.protocols import plane
from tests.vae import constrained

Rows = dict[tuple[str, str, str], float]


def pixels(name: str, split: str) -> Tensor:
    """Images [N, D] of a split in float64, in [0, 1]."""
    data = catalogue.load(name)
    return getattr(data, split).flatten(1).double() / data.levels


def mean_image(name: str) -> Tensor:
    """What a silenced decoder shows: the mean image, away from 0 and 1."""
    return pixels(name, "train").mean(0).clamp(0.001, 0.999)


@pytest.mark.parametrize(
    "changes", [{}, constrained.FLOW, constrained.DRAW, {"model": "conv", "sizes": {}}]
)
def test_error_is_one_number_in_every_unit(changes: dict[str, Any]) -> None:
    targets = [0.1, 0.4]
    found = constrained.rows_of(constrained.build(targets=targets, **changes))
    for split in ("train", "test"):
        sse, mse, rmse = (found[name, split, "z=sampled"] for name in ("sse", "mse", "rmse"))
        assert mse == pytest.approx(sse / 64, rel=1e-12)
        assert rmse == pytest.approx(math.sqrt(mse), rel=1e-12)
        assert 0.1 < rmse < 0.4
        nll = 32 * math.log(2 * math.pi * math.e * mse)
        assert found["nll", split, ""] == pytest.approx(nll, rel=1e-12)
        for target, sign in zip(targets, (1, -1), strict=True):
            away = math.log(rmse / target)
            assert found["excess", split, f"kappa={target}"] == pytest.approx(away)
            assert found["off_target", split, f"target={target}"] == pytest.approx(sign * away)
    assert found["reached", "train", ""] == found["rmse", "train", "z=sampled"]
    assert ("reached", "test", "") not in found  # one number is handed on, not two
    assert found["rmse", "test", "z=sampled"] != found["rmse", "train", "z=sampled"]


@pytest.mark.parametrize("changes", [{}, {"dataset": "color_digits"}, constrained.DRAW])
def test_a_silenced_model_has_no_rate_and_the_error_of_the_mean_image(
    changes: dict[str, Any],
) -> None:
    problem = constrained.build(test_images=300, patch={"patch": 5, "stride": 3}, **changes)
    name = (constrained.TINY | changes)["dataset"]
    shape = catalogue.load(name).shape
    found = constrained.rows_of(problem, **constrained.silenced(problem))
    shown = mean_image(name)
    for split in ("train", "test"):
        x = pixels(name, split)[:300]
        assert found["rate", split, ""] == pytest.approx(0, abs=1e-5)
        sse = float((x - shown).square().sum(1).mean())
        assert found["sse", split, "z=sampled"] == pytest.approx(sse, rel=1e-5)
        shift = (x - shown).unflatten(1, shape).mean((2, 3)).abs().mean()
        assert found["brightness_error", split, ""] == pytest.approx(float(shift), rel=1e-4)
        patches = [
            correlation(image, other, shape) for image, other in ((x[:20], shown), (x[:20], x[:20]))
        ]
        few = constrained.build(test_images=20, patch={"patch": 5, "stride": 3}, **changes)
        some = constrained.rows_of(few, **constrained.silenced(few))
        assert some["patch_correlation", split, ""] == pytest.approx(patches[0], abs=1e-5)
        assert some["patch_limit", split, ""] == pytest.approx(patches[1], abs=1e-5)
    assert some["patch_limit", "test", ""] > some["patch_correlation", "test", ""]


def correlation(x: Tensor, other: Tensor, shape: tuple[int, ...]) -> float:
    """Normalised cross-correlation, averaged over 5x5 patches at steps of 3, by loops."""
    found = []
    for one, two in zip(x, other.expand_as(x), strict=True):
        a, b = one.reshape(shape).numpy(), two.reshape(shape).numpy()
        for channel, row, column in np.ndindex(shape[0], 2, 2):
            at = np.s_[channel, 3 * row : 3 * row + 5, 3 * column : 3 * column + 5]
            p, q = a[at] - a[at].mean(), b[at] - b[at].mean()
            norms = (np.sqrt((p**2).sum()) + 1e-3) * (np.sqrt((q**2).sum()) + 1e-3)
            found.append((p * q).sum() / norms)
    return float(np.mean(found))


def test_the_rate_of_a_gaussian_posterior_is_its_closed_form() -> None:
    problem = constrained.build()
    weights = constrained.silenced(problem)
    mean, log_scale = torch.tensor([0.5, -1.0]), torch.tensor([-0.3, 0.2])
    weights["encoder.head.bias"] = torch.cat([mean, log_scale])
    expected = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
    found = constrained.rows_of(problem, **weights)
    for split in ("train", "test"):
        assert found["rate", split, ""] == pytest.approx(float(expected), rel=1e-6)


def test_the_rate_under_a_flow_is_sampled() -> None:
    """A flow of zeros is the standard normal: the sampled rate is about the closed form."""
    problem = constrained.build(test_images=300, **constrained.FLOW)
    weights = constrained.silenced(problem)
    weights["encoder.head.bias"] = torch.tensor([0.5, -1.0, -0.3, 0.2])
    exact = 0.5 * (0.25 + 1 + math.exp(-0.6) + math.exp(0.4) - 2 + 0.2)
    # log q - log p of a draw has, per dimension, variance (s^2 - 1)^2 / 2 + m^2 s^2
    scales = (math.exp(-0.6), math.exp(0.4))
    variance = sum((s - 1) ** 2 / 2 + m * s for s, m in zip(scales, (0.25, 1), strict=True))
    found = constrained.rows_of(problem, **weights)["rate", "test", ""]
    assert abs(found - exact) < 6 * math.sqrt(variance / 300)
    assert found != pytest.approx(exact, abs=1e-6)


def test_the_frozen_classifier_looks_at_reconstructions_and_at_the_images() -> None:
    problem = constrained.build(classifier_steps=200, test_images=300)
    found = constrained.rows_of(problem, **constrained.silenced(problem))
    network, labels = classifier.trained("digits", 200, "cpu"), catalogue.labels("digits")
    shown = mean_image("digits").float()
    p, features = network.probabilities(shown[None])[0], network.features(shown[None])
    for split in ("train", "test"):
        x, wanted = pixels("digits", split)[:300].float(), labels[split][:300]
        real = (network.probabilities(x).argmax(1) == wanted).double().mean()
        error = (network.features(x) - features).square().mean()
        expected = {
            "class_probability": p[wanted].mean(),
            "accuracy": (wanted == p.argmax()).double().mean(),
            "classifier_accuracy": real,
            "feature_error": error,
        }
        for name, value in expected.items():
            assert found[name, split, ""] == pytest.approx(float(value), rel=1e-4), name
        assert real > 0.9
    plain = constrained.rows_of(constrained.build())
    assert not {name for name, _, _ in plain} & {"accuracy", "feature_error", "class_probability"}


def test_violations_of_the_end_are_rows_against_their_thresholds() -> None:
    """The rows are in the units of the constraints: kappa of FRE is squared, others are not."""
    changes = {"kappa": 0, "constraints": {"FRE": 0.5}, "classifier_steps": 20}
    problem = constrained.build(test_images=8, batch_size=8, **changes)
    weights = constrained.silenced(problem)
    batch = problem.draw(0) | {"rows": torch.arange(8)}
    _, _, logs = problem.loss(weights, problem.state, batch)
    found = constrained.rows_of(problem, **weights)["feature_error", "train", ""]
    assert found - 0.25 == pytest.approx(float(logs["violation_FRE"]), rel=1e-5)


def test_coverage_is_nothing_within_a_tiny_radius_and_everything_within_a_huge_one() -> None:
    targets = [1e-6, 0.15, 10.0]
    found = constrained.rows_of(constrained.build(prior_samples=40, targets=targets))
    at = [found["coverage", "test", f"radius={r}"] for r in ("2e-06", "0.3", "20")]
    assert at[0] == 0
    assert at[2] == 1
    assert at[0] <= at[1] <= at[2]
    assert ("coverage", "train", "radius=20") not in found
    assert not any(
        name == "coverage" for name, _, _ in constrained.rows_of(constrained.build(targets=targets))
    )


@pytest.mark.parametrize("changes", [{}, constrained.FLOW, constrained.DRAW])
def test_the_nearest_training_image_is_that_of_the_mean_image(changes: dict[str, Any]) -> None:
    name = (constrained.TINY | changes)["dataset"]
    distance = (pixels(name, "train") - mean_image(name)).square().mean(1).sqrt().min()
    below, above = float(distance) / 2 * 0.999, float(distance) / 2 * 1.001
    problem = constrained.build(prior_samples=30, targets=[below, above], **changes)
    found = constrained.rows_of(problem, **constrained.silenced(problem))
    assert found["nearest", "test", ""] == pytest.approx(float(distance), rel=1e-4)
    covered = [value for (metric, _, _), value in found.items() if metric == "coverage"]
    assert covered == [0, 1]


@pytest.mark.parametrize("changes", [{}, constrained.DRAW])
def test_how_many_images_are_decoded_at_a_time_changes_nothing(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without noise, so that blocks draw alike; each image must keep its own condition."""

    def without(posterior: Any, k: int, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: torch.zeros(shape) for name, shape in posterior.noise_shapes(k).items()}

    monkeypatch.setattr(plane, "standard_normal", without)
    problem = constrained.build(**changes)
    whole = constrained.rows_of(problem)
    monkeypatch.setattr(plane, "BLOCK", 5)
    parts = constrained.rows_of(problem)
    assert parts == pytest.approx(whole, rel=1e-5)

    def first(self: plane.Subject, split: str, rows: slice) -> dict[str, Tensor]:
        """Wrong: every block is given the conditions of the first."""
        return condition(self, split, slice(0, rows.stop - rows.start))

    condition = plane.Subject.condition
    monkeypatch.setattr(plane.Subject, "condition", first)
    assert (constrained.rows_of(problem) == pytest.approx(whole, rel=1e-5)) == (not changes)


@pytest.mark.parametrize("changes", [{}, {"dataset": "color_digits"}, constrained.DRAW])
def test_pictures_are_bytes_of_what_the_model_shows(changes: dict[str, Any]) -> None:
    problem = constrained.build(pictures=6, **changes)
    name = (constrained.TINY | changes)["dataset"]
    data = catalogue.load(name)
    assert problem.arrays is not None
    found = problem.arrays(constrained.silenced(problem))
    conditional = {"conditions_test"} if data.conditions else set()
    assert found.keys() == {"pictures_test", "samples", "originals_test"} | conditional
    for array in found.values():
        assert array.dtype == np.uint8
        assert array.shape == (6, *data.shape)
    levels = 255 / data.levels
    expected = np.round(data.test[:6].numpy() * levels).astype(np.uint8)
    np.testing.assert_array_equal(found["originals_test"], expected)
    shown = (mean_image(name) * 255).reshape(data.shape).numpy()
    for part in ("pictures_test", "samples"):
        assert np.abs(found[part] - shown).max() <= 0.51
    if conditional:
        pictures = np.round(data.conditions["test"][0][:6].numpy() * levels).astype(np.uint8)
        np.testing.assert_array_equal(found["conditions_test"], pictures)


def test_originals_that_may_not_be_shown_are_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    from paper_repro.data import names

    monkeypatch.setattr(names, "may_be_shown", lambda name: False)
    for changes in ({}, constrained.DRAW):
        problem = constrained.build(pictures=3, **changes)
        assert problem.arrays is not None
        assert problem.arrays(constrained.silenced(problem)).keys() == {"pictures_test", "samples"}
    assert constrained.build().arrays is None


def test_measuring_twice_gives_the_same_numbers_and_changes_no_weight() -> None:
    problem = constrained.build(prior_samples=10, targets=[0.1], **constrained.DRAW)
    before = {name: p.detach().clone() for name, p in problem.params.items()}
    first, second = constrained.rows_of(problem), constrained.rows_of(problem)
    assert first == second
    assert all(torch.equal(before[name], p) for name, p in problem.params.items())
    count = sum(p.numel() for p in problem.params.values())
    assert first["parameters", "", ""] == count
