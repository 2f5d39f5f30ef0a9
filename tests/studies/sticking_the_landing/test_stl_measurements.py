"""Facts that the measurement tasks establish, at small size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from paper_repro.errors import UserError
from paper_repro.gradients.draws import estimate, gradient_draws
from paper_repro.gradients.moments import moments
from paper_repro.studies.sticking_the_landing.tasks import toys
from paper_repro.studies.sticking_the_landing.tasks.surface import surface
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

Train = Callable[..., pd.DataFrame]
DTYPE = torch.float64


@pytest.fixture
def exact(train: Train) -> pd.DataFrame:
    return train("exactness", draws=20_000, zero_draws=20, k=[1, 10], k_draws=[2000, 1000])


def _values(frame: pd.DataFrame, metric: str, **where: object) -> pd.Series:
    chosen = frame[frame["metric"] == metric]
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen), (metric, where)
    return chosen["value"]


def test_exactness(exact: pd.DataFrame) -> None:
    """One measurement, many facts: zero at q = p, unbiasedness, Fisher, bias of IWAE's path."""
    assert (_values(exact, "path_gradient_max_abs") < 1e-10).all()
    assert len(_values(exact, "path_gradient_max_abs")) == 4
    assert (_values(exact, "path_gradient_max_rel") < 1e-4).all()
    assert (_values(exact, "fisher_relative_error") < 6 * (14 / 20_000) ** 0.5).all()
    assert (_values(exact, "bias_z_max") < 6).all()
    assert len(_values(exact, "bias_z_max")) == 5
    for estimator in ("path", "dreg"):
        assert (_values(exact, "variance_at_optimum", estimator=estimator) < 1e-20).all()
    for k in (1, 8):  # at q = p the weights are equal: the Fisher trace 1/0.8^2 + 2, over k
        total = _values(exact, "variance_at_optimum", estimator="total", k=k).item()
        assert total == pytest.approx(3.5625 / k, rel=0.1)
    assert _values(exact, "bias_z", estimator="path", k=4, point="wrong").abs().item() > 8
    assert (_values(exact, "bias_z", estimator="dreg").abs() < 6).all()
    assert (_values(exact, "agreement_z") < 6).all()
    assert _values(exact, "bias_ratio", k=1).item() == pytest.approx(1)
    assert 4 < _values(exact, "bias_ratio", k=10).item() < 8


def layer1_variances() -> dict[str, tuple[float, float]]:
    """Of the layer-1 gradient (mean, log_scale) of `toys.two_layer` at q = p, per variant.

    The total derivative is minus the score: (1/s1^2, 2). The released code also drops the path
    from h1 into q(h2|h1), a gradient of variance slope^2/s2^2 per unit of h1 (our derivation).
    """
    inner, outer = toys.LAYER_VARIANCE, toys.OBSERVATION_VARIANCE
    variance = 1 / (1 / (1 + inner) + 1 / outer)
    cut = 1 / (inner**2 * (1 + 1 / inner))
    return {"total": (1 / variance, 2.0), "code": (cut, cut * variance), "exact": (0.0, 0.0)}


def test_the_released_two_layer_code_keeps_its_variance_at_the_truth(exact: pd.DataFrame) -> None:
    for variant, theory in layer1_variances().items():
        found = _values(exact, "layer1_variance", variant=variant).item()
        assert found == pytest.approx(sum(theory), rel=0.1, abs=1e-12)


def test_each_layer_1_parameter_has_the_variance_of_theory() -> None:
    toy = toys.two_layer(stream(0, "init", "two_layer"), DTYPE, "cpu")
    values = {
        variant: estimate(toy.model, name)
        for variant, name in (("total", "total"), ("code", "path_code"), ("exact", "path"))
    }
    generator = stream(0, "evaluation", "two_layer")
    batches = gradient_draws(values, toy.params, toy.noise_shapes(1), generator, draws=20_000)
    found = moments(batches)
    for variant, theory in layer1_variances().items():
        for name, variance in zip(("mean", "log_scale"), theory, strict=True):
            measured = found[variant][name].variance.item()
            assert measured == pytest.approx(variance, rel=0.1, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [toys.gaussian, toys.mixture, toys.flow, toys.vae_linear])
def test_toys_stand_at_their_posterior(make: Callable[..., toys.Toy], dtype: torch.dtype) -> None:
    """log p(x, z) - log q(z) is the same number for every sample."""
    toy = make(stream(1, "init"), dtype, "cpu")
    posterior, log_joint = toy.model(toy.params)
    generator = torch.Generator().manual_seed(0)
    noise = {
        name: torch.randn(shape, generator=generator, dtype=dtype)
        for name, shape in posterior.noise_shapes(50).items()
    }
    z = posterior.rsample(noise)
    values = sum(log_joint(z)) - posterior.log_prob(z)
    values = values.reshape(-1, *([4] if make is toys.vae_linear else []))
    assert (values.std(0) < (1e-4 if dtype == torch.float32 else 1e-12)).all()


def test_variance_vanishes_along_the_path_to_the_truth(train: Train) -> None:
    frame = train("path_to_truth", seeds=(0, 1), dim=20, draws=4000)
    measured = frame[frame["metric"] == "gradient_variance_trace"]
    theory = frame[frame["metric"] == "gradient_variance_trace_theory"]
    assert len(measured) == 2 * 2 * 6
    np.testing.assert_allclose(measured["value"], theory["value"], rtol=0.15, atol=1e-12)
    for seed in (0, 1):
        at = measured[measured["seed"] == seed].set_index(["estimator", "a"])["value"]
        assert at["path", 1.0] < 1e-10
        assert at["path", 0.9] < 0.05 * at["total", 0.9]
        fisher = frame[(frame["metric"] == "fisher_trace") & (frame["seed"] == seed)]["value"]
        assert at["total", 1.0] == pytest.approx(fisher.item(), rel=0.1)


def test_the_map_crosses_at_half_the_target_variance(train: Train) -> None:
    frame = train("variance_map", s2=[0.1, 0.4, 0.45, 0.55, 0.6, 1, 4], draws=20_000)
    for metric in ("gradient_variance", "c_star"):
        measured = frame[frame["metric"] == metric]
        theory = frame[frame["metric"] == f"{metric}_theory"]
        np.testing.assert_allclose(measured["value"], theory["value"], rtol=0.15, atol=1e-12)
    variance = frame[frame["metric"] == "gradient_variance"]
    table = variance.pivot_table("value", ["parameter", "m", "s2"], "estimator")
    s2 = table.index.get_level_values("s2")
    assert len(table) == 2 * 2 * 7
    assert ((table["path"] < table["total"]) == (s2 > 0.5)).all()
    assert (table["optimal_c"] <= 1.01 * table[["path", "total"]].min(axis=1)).all()
    assert (table.loc["mu", "optimal_c"] < 1e-20).all()


def test_the_surface_is_flat_at_the_truth_and_its_gradient_is_minus_the_score() -> None:
    arrays = surface(13, 9)
    t, z = arrays["t"], arrays["z"]
    truth = int(np.abs(t - 1).argmin())
    assert t[truth] == 1
    assert np.ptp(arrays["value"][truth]) == 0
    assert (np.ptp(np.delete(arrays["value"], truth, 0), axis=1) > 0.1).all()
    assert np.abs(arrays["gradient_path"][truth]).max() == 0
    expected = np.stack([z, z**2 - 1], -1)  # score of N(0, 1) in (m, log s)
    np.testing.assert_allclose(arrays["gradient_total"][truth], -expected, atol=1e-12)
    np.testing.assert_allclose(arrays["gradient_score"][truth], expected, atol=1e-12)
    log_q = -0.5 * ((z - 1.5) / 2) ** 2 - np.log(2)
    np.testing.assert_allclose(arrays["value"][0], -0.5 * z**2 - log_q, atol=1e-12)


def test_the_surface_task_saves_its_arrays(build: Callable[..., Problem]) -> None:
    problem = build("surface", t_points=7, z_points=5)
    assert problem.arrays is not None
    arrays = problem.arrays({})
    assert arrays["value"].shape == (7, 5)
    assert arrays["gradient_score"].shape == (7, 5, 2)
    assert all(array.dtype == np.float32 for array in arrays.values())
    rows = {(row.metric, row.estimator): row.value for row in problem.evaluate({}, {}, 0)}
    assert rows["surface_range", ""] == rows["gradient_max_abs", "path"] == 0
    assert rows["gradient_max_abs", "total"] > 1


def test_more_samples_drown_the_standard_encoder_gradient_and_not_dreg(train: Train) -> None:
    frame = train("snr", k=[10, 100], draws=[2000, 400])
    snr = frame[frame["metric"] == "snr"].set_index(["estimator", "group", "k"])["value"]

    def slope(estimator: str, group: str) -> float:
        return float(np.log10(snr[estimator, group, 100] / snr[estimator, group, 10]))

    assert slope("total", "encoder") == pytest.approx(-0.5, abs=0.15)
    assert slope("dreg", "encoder") == pytest.approx(0.5, abs=0.15)
    assert slope("path", "encoder") == pytest.approx(0.5, abs=0.15)  # of a biased mean
    for k in (10, 100):  # the stop-gradient touches the encoder alone
        decoder = [snr[e, "decoder", k] for e in ("total", "path", "dreg")]
        assert decoder == pytest.approx([decoder[0]] * 3)


def test_lists_of_draws_that_do_not_match_k_are_refused(build: Callable[..., Problem]) -> None:
    with pytest.raises(UserError, match="draws: 1 entries for 2 values of k"):
        build("snr", k=[1, 2], draws=[10])
    with pytest.raises(UserError, match="k_draws: 4 entries for 1 values of k"):
        build("exactness", k=[1])
