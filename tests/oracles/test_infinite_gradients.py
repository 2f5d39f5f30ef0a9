"""What the generic autoencoder objective says of the VAE, and which penalties prefer a sparse code.

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021): Lemmas
2 and 3, and the labyrinth behind Theorem 4.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian_gamma, squared_error
from paper_repro.objectives import autoencoder, elbo
from tests.oracles import linear_vae
from tests.oracles.linear_vae import Params

PIXELS = 6


def generic(code: Tensor, error: Tensor | None = None, **options: object) -> Tensor:
    """Minus the objective for a code [n, kappa] and squared errors [n], zero by default."""
    error = torch.zeros(len(code), dtype=code.dtype) if error is None else error
    terms = Terms(-error[None], torch.zeros(1, len(code)), torch.zeros(1, len(code)))
    q = DiagonalGaussian(code, torch.zeros_like(code))
    return -autoencoder.bound(terms, q, **options).mean()


def exact_linear_codes() -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Data on a plane, and three pairs (decoder of unit columns, code) that reproduce them."""
    x = linear_vae.data(torch.tensor([2.0, 0.5, 0, 0, 0, 0], dtype=torch.float64), centre=0.0)
    basis = linear_vae.directions(PIXELS)[:, :2]
    pairs = []
    for mix in ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.6], [0.0, 0.8]], [[0.8, -0.3], [0.6, 1.2]]):
        decoder = basis @ torch.tensor(mix, dtype=torch.float64)
        decoder = decoder / decoder.norm(dim=0)
        pairs.append((decoder, x @ torch.linalg.pinv(decoder).T))
    return x, pairs


def test_with_a_linear_decoder_and_vanishing_gamma_the_vae_is_the_log_penalty():
    """Lemma 2: minimised over constant posterior scales and over the scale of each code row."""
    gamma = torch.tensor(1e-7, dtype=torch.float64)
    x, pairs = exact_linear_codes()
    vae, lemma = [], []
    for decoder, code in pairs:

        def loss(params: Params, decoder: Tensor = decoder, code: Tensor = code) -> Tensor:
            stretch = params["stretch"].exp()
            model = {
                "decoder": decoder / stretch,
                "centre": torch.zeros(PIXELS, dtype=torch.float64),
                "encoder": stretch[:, None] * torch.linalg.pinv(decoder),
                "offset": torch.zeros(2, dtype=torch.float64),
                "log_scale": params["log_scale"],
                "log_gamma": gamma.log(),
            }
            bound = linear_vae.objective(
                elbo.bound, model, x, likelihood=gaussian_gamma.log_likelihood
            )
            return -2 * bound

        stretch = -0.5 * code.square().mean(0).log()
        scale = 0.5 * (gamma / (gamma + decoder.square().sum(0) / (2 * stretch).exp())).log()
        best = {"stretch": stretch, "log_scale": scale}
        assert linear_vae.steepest(loss, best) < 1e-5  # of order gamma
        vae.append(loss(best))
        lemma.append(PIXELS * generic(code, g="identity", h="log", pixels=PIXELS))
    differences = torch.stack(vae).diff(), torch.stack(lemma).diff()
    assert differences[1].abs().min() > 0.1
    torch.testing.assert_close(*differences, rtol=0, atol=1e-5)


def test_without_posterior_noise_and_with_log_penalties_the_vae_is_g_equals_h_equals_log():
    """Lemma 3: at the best gamma the data part of eq. (3) is d log(mean squared error) + d."""
    x, pairs = exact_linear_codes()
    for decoder, code in pairs:
        output = code @ decoder.T + 0.1 * x.roll(1, 0)
        error = -squared_error.log_likelihood(x, output)
        gamma = error.mean() / PIXELS
        density = gaussian_gamma.log_likelihood(x, output, {"log_gamma": gamma.log()})
        data_part = -2 * density.mean() - PIXELS * math.log(2 * math.pi)
        code_part = code.square().mean(0).log().sum()
        found = PIXELS * generic(code, error, g="log", h="log", pixels=PIXELS)
        torch.testing.assert_close(found, data_part - PIXELS + code_part, rtol=1e-12, atol=1e-12)


def snake(eps: float, rows: int) -> tuple[Tensor, Tensor]:
    """Points of a path that fills [0, eps]^2 in `rows` passes: in the plane, and by arc length."""
    across = torch.linspace(0, eps, 201, dtype=torch.float64)
    passes = [
        torch.stack([across.flip(0) if row % 2 else across, torch.full_like(across, height)], 1)
        for row, height in enumerate(torch.linspace(0, eps, rows, dtype=torch.float64))
    ]
    plane = torch.cat(passes)
    length = torch.cat([torch.zeros(1), plane.diff(dim=0).norm(dim=1).cumsum(0)])
    return plane, torch.stack([length, torch.zeros_like(length)], 1)


def prefers_the_sparse_code(eps: float, rows: int, h: str, constant: float = 1.0) -> bool:
    """Whether the arc length (one live row) costs less than the plane (two small ones)."""
    plane, arc = snake(eps, rows)
    options = {"g": "identity", "h": h, "h_constant": constant, "pixels": 3}
    return bool(generic(arc, **options) < generic(plane, **options))


@pytest.mark.parametrize(
    ("h", "constant", "sparse"),
    [
        ("identity", 1.0, False),
        ("saturating", 1.0, False),
        ("log1p", 1.0, False),
        ("sqrt", 1.0, False),  # an infinite slope at zero does not suffice
        ("shifted_log", 1e-30, True),
        ("power", 0.03, True),
        ("power", 0.057, True),  # it turns at ln 2 / ln(m1 / m2) = 0.058
        ("power", 0.059, False),
    ],
)
def test_only_penalties_steep_enough_at_zero_leave_the_plane_for_the_labyrinth(h, constant, sparse):
    assert snake(0.01, 400)[1].max() == pytest.approx(4.01, rel=1e-9)
    assert prefers_the_sparse_code(0.01, 400, h, constant) == sparse


def test_a_bounded_slope_loses_once_the_square_is_small_enough():
    found = [
        prefers_the_sparse_code(eps, round(4 / eps), "log1p", 1e-12) for eps in (1e-1, 1e-2, 1e-3)
    ]
    assert found == [True, True, False]
