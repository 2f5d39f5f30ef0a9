"""The sets of real vectors: what is known of them by construction, seen in the stored numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paper_repro.data import batches, pool, vectors
from paper_repro.data.catalogue import DataSet, load
from paper_repro.errors import UserError
from paper_repro.vae import data as images
from tests.vae import tiny

CLEAN, NOISY = "tanh_manifold_clean", ("tanh_manifold", "tanh_manifold_noisy")


def stored(name: str) -> np.ndarray:
    """All vectors of a set as stored, float64 [N, D]."""
    data = load(name)
    return torch.cat([data.train, data.validation, data.test]).flatten(1).double().numpy()


@pytest.mark.parametrize(("name", "noise"), [(NOISY[0], 0.1), (NOISY[1], 0.2)])
def test_the_manifolds_differ_by_gaussian_noise_of_the_size_they_promise(name, noise):
    difference = stored(name) - stored(CLEAN)
    standardised = difference / noise
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        error = np.sqrt(variance / standardised.size)
        assert abs((standardised**power).mean() - moment) < 6 * error
    np.testing.assert_allclose(
        standardised, (stored("tanh_manifold") - stored(CLEAN)) / 0.1, atol=0.02
    )  # one and the same noise, rounded


def test_the_clean_manifold_has_unit_variance_and_its_dimension():
    clean = load(CLEAN).train.flatten(1).double()
    assert float(clean.std(correction=0)) == pytest.approx(1, abs=1e-6)
    # Maximum likelihood from nearest neighbours (Levina & Bickel 2004), biased low.
    distances = torch.cdist(clean, clean).fill_diagonal_(torch.inf)
    nearest = distances.topk(10, largest=False).values.sort(1).values.log()
    inverse = (nearest[:, -1:] - nearest[:, :-1]).mean(1) * 9 / 8
    assert 4.3 < 1 / inverse.mean() < 5.7
    assert int(torch.linalg.matrix_rank(clean, rtol=1e-3)) > 20  # far from any 5-dimensional plane


def test_the_curve_is_three_quarters_of_a_circle_in_a_plane():
    points = stored("curve")
    axes = vectors.plane()
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-14)
    inside = points @ axes
    np.testing.assert_allclose(inside @ axes.T, points, atol=3e-6)
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), 1, atol=3e-6)
    t = np.sort(np.arctan2(inside[:, 1], inside[:, 0]) % (2 * np.pi)) / vectors.END
    assert t[-1] <= 1 + 1e-6
    steps = np.arange(1, len(t) + 1) / len(t)
    assert np.abs(t - steps).max() < 3 / np.sqrt(len(t))  # Kolmogorov: passed by 1 in 10^7


def test_outliers_lie_in_the_plane_of_the_curve_far_from_it_and_fill_the_disc():
    points = stored("curve_outliers")
    axes = vectors.plane()
    inside = points @ axes
    np.testing.assert_allclose(inside @ axes.T, points, atol=3e-6)
    assert np.linalg.norm(inside, axis=1).max() < 1.3 + 1e-5
    curve = stored("curve") @ axes
    nearest = np.concatenate(
        [np.linalg.norm(p[:, None] - curve, axis=2).min(1) for p in np.split(inside, 32)]
    )
    assert nearest.min() > 0.2 - 1e-5
    assert np.abs(nearest - vectors.distance(inside)).max() < 0.02  # as far as the points are dense
    # Uniform: the disc of radius 0.8 is clear of the margin about the curve.
    core = np.linalg.norm(inside, axis=1) < 0.8
    share = np.pi * 0.8**2 / _outlying_area()
    assert abs(core.mean() - share) < 6 * np.sqrt(share / len(inside))
    assert abs(inside[core].mean(0)).max() < 6 * 0.4 / np.sqrt(core.sum())


def _outlying_area() -> float:
    """Area of the disc less what is within 0.2 of the curve: three quarters of a ring and half
    discs about the two ends (which do not touch each other)."""
    return np.pi * 1.3**2 - 0.75 * np.pi * (1.2**2 - 0.8**2) - np.pi * 0.2**2


@pytest.mark.parametrize("name", [CLEAN, *NOISY, "curve", "curve_outliers"])
def test_values_are_on_a_grid_that_hides_the_last_bits_of_a_machine(name):
    grid = 2.0**-20 if name.startswith("curve") else 2.0**-12
    values = stored(name) / grid
    np.testing.assert_array_equal(values, np.round(values))


def test_pools_of_wrong_types_or_with_nan_are_refused():
    vector = np.zeros((3, 1, 1, 2), dtype=np.float32)
    rows = pool.consecutive((1, 1, 1))
    pool.check("x", pool.Pool(vector, rows, levels=0), [1, 1, 2], [1, 1, 1])
    for wrong, message in (
        (pool.Pool(vector, rows, levels=255), "float32 .* not uint8"),
        (pool.Pool(vector.astype(np.uint8), rows, levels=0), "uint8 .* not float32"),
        (pool.Pool(vector.astype(np.float64), rows, levels=0), "float64 .* not float32"),
        (pool.Pool(vector * np.nan, rows, levels=0), "not all values are finite"),
    ):
        with pytest.raises(UserError, match=message):
            pool.check("x", wrong, [1, 1, 2], [1, 1, 1])


def test_vectors_are_seen_as_they_are_and_their_mean_is_exact():
    data = images.load("tanh_manifold", "none", "cpu")
    own = load("tanh_manifold")
    assert torch.equal(data.preprocess(data.test, torch.Generator()), own.test.flatten(1))
    assert data.images.shape == (1, 1, 100)
    expected = own.train.double().mean(0).flatten()
    torch.testing.assert_close(data.images.mean.double(), expected, atol=1e-7, rtol=1e-6)
    assert data.images.variance == pytest.approx(1.01, abs=0.05)
    reversed_ = DataSet("x", own.train.flip(0), own.test, own.test, 0, "")
    assert torch.equal(batches.train_mean(reversed_), data.images.mean)


@pytest.mark.parametrize(
    ("dataset", "preprocessing", "message"),
    [
        ("digits", "none", "preprocessing: 'none', but digits holds images: not 'none'"),
        *(
            ("curve", how, f"preprocessing: '{how}', but curve holds vectors: 'none' alone")
            for how in ("unit", "dequantised", "binarised")
        ),
    ],
)
def test_vectors_and_images_are_not_preprocessed_as_each_other(dataset, preprocessing, message):
    with pytest.raises(UserError, match=message):
        images.load(dataset, preprocessing, "cpu")
    with pytest.raises(UserError, match="it holds vectors"):
        batches.scale(torch.zeros(2), 0)


VECTORS = {"dataset": "curve", "preprocessing": "none", "likelihood": "gaussian_gamma"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pictures": 2}, "pictures: 2 is for images; curve holds vectors"),
        ({"likelihood": "bernoulli"}, "likelihood: bernoulli is for images"),
        ({"likelihood_options": {"link": "sigmoid"}}, "likelihood_options.link: sigmoid is for"),
    ],
)
def test_what_suits_images_alone_is_refused_for_vectors(change, message):
    tiny.build(**VECTORS)
    with pytest.raises(UserError, match=message):
        tiny.build(**VECTORS | change)


@pytest.mark.parametrize("centre", [False, True])
def test_a_vae_of_vectors_has_errors_per_dimension_and_no_bits(centre):
    problem = tiny.build(**VECTORS, centre=centre, splits=["train", "test"])
    params = {name: p.detach() for name, p in problem.params.items()}
    rows = {(r.split, r.metric, r.at): r.value for r in problem.evaluate(params, problem.state, 20)}
    assert all(np.isfinite(value) for value in rows.values())
    assert {"elbo", "rate", "gamma", "mmd"} <= {metric for _, metric, _ in rows}
    assert "bits_per_dim" not in {metric for _, metric, _ in rows}
    for split in ("train", "test"):
        mse = rows[split, "mse", "z=mean"]
        assert mse == pytest.approx(rows[split, "sse", "z=mean"] / 20)
    batch = tiny.preprocessed(problem.draw(0), "curve", "none")
    assert torch.isin(batch, load("curve").train).all()
