"""Slices through the loss: their formula, the numbers of the specification, a latent scaled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from paper_repro.distributions import gaussian
from paper_repro.studies.infinite_gradients.tasks import landscape, landscape_trained, linear_theory
from tests.oracles import linear_vae
from tests.studies.infinite_gradients.ig_runs import build, measured, only, trained

ARMS = landscape.rotation(landscape.PIXELS, 2, torch.Generator().manual_seed(0)) * torch.tensor(
    landscape.SPECTRUM
)
GAMMA = torch.tensor(0.03, dtype=torch.float64)
Energy = Callable[[Tensor, Tensor, Tensor], Tensor]


def misses_the_minimum(energy: Energy) -> bool:
    """Whether it is not eq. (3) at the encoder and the scales where its gradient vanishes."""
    generator = torch.Generator().manual_seed(5)
    decoder = landscape.random_end(ARMS, "gaussian", generator)
    inner = decoder.T @ decoder + GAMMA * torch.eye(landscape.LATENTS, dtype=torch.float64)
    square = decoder.square().sum(0)
    best = {
        "encoder": torch.linalg.solve(inner, decoder.T),
        "log_scale": 0.5 * (GAMMA / (GAMMA + square)).log(),
    }
    fixed = {"decoder": decoder, "log_gamma": GAMMA.log()}
    assert linear_vae.steepest(lambda p: linear_theory.loss(p | fixed, ARMS), best) < 1e-10
    exact = linear_theory.loss(best | fixed, ARMS)
    return abs(float(energy(decoder, ARMS, GAMMA) - exact)) > 1e-9


def test_the_energy_is_eq_3_with_the_encoder_at_its_optimum():
    assert not misses_the_minimum(landscape.minimised_encoder)


def test_wrong_energies_are_caught():
    def marginal(decoder: Tensor, arms: Tensor, gamma: Tensor) -> Tensor:
        """The log evidence: posteriors may then be correlated."""
        model = gamma * torch.eye(len(decoder), dtype=decoder.dtype) + decoder @ decoder.T
        data = (torch.linalg.solve(model, arms) * arms).sum()
        return data + torch.logdet(model) + landscape.LATENTS

    def without_rest(decoder: Tensor, arms: Tensor, gamma: Tensor) -> Tensor:
        rest = (landscape.PIXELS - landscape.LATENTS) * gamma.log()
        return landscape.minimised_encoder(decoder, arms, gamma) - rest

    assert misses_the_minimum(marginal)
    assert misses_the_minimum(without_rest)


# panel: minima, minimiser and largest slope at gamma = 1, 0.1, 0.01, 0.001
DERIVED = {
    "a": ([1, 2, 2, 2], [0.432, 0.014, 0, 0], [2.8, 8.0, 21.8, 67.3]),
    "b": ([1, 2, 2, 2], [0.354, 0.008, 0, 0], [1.9, 5.1, 14.4, 44.8]),
}


@pytest.mark.parametrize("seed", [0, 1])
def test_panels_have_the_numbers_of_the_specification_under_every_rotation(seed):
    found = measured("landscape", seed, steps=0, random_slices=0)
    for name, (minima, minimisers, slopes) in DERIVED.items():
        assert only(found, "local_minima", slice=name).tolist() == minima
        assert only(found, "minimiser", slice=name).round(3).tolist() == minimisers
        assert only(found, "largest_slope", slice=name).round(1).tolist() == slopes
    at = {"slice": "a", "gamma": 0.001}
    ends = [only(found, "slice_loss", t=t, **at).item() for t in (0, 1)]
    assert [round(value, 1) for value in ends] == [-118.0, -112.5]


def test_slopes_are_those_of_the_curve():
    t = landscape.grid(4001)
    loss, slope = landscape.slice_loss(ARMS, landscape.end(ARMS, "a"), t)
    differences = (loss[:, 2:] - loss[:, :-2]) / (t[2:] - t[:-2])
    torch.testing.assert_close(slope[:, 1:-1], differences, rtol=1e-3, atol=1e-3)


def test_minima_are_inner_points_below_both_neighbours():
    curve = torch.tensor([0.0, 2.0, 1.0, 3.0, 0.5, 0.7, 0.1])
    assert landscape.minima(curve).tolist() == [2, 4]


def test_shares_of_random_slices_are_counted():
    found = measured("landscape", steps=0, random_slices=10)
    shares = only(found, "multimodal_share", slice="rotated")
    assert shares.tolist()[0] == 0  # at gamma = 1 there is one minimum
    assert shares.tolist()[-1] > 0.5


SMALL = {"pixels": 8, "rank": 2, "latents": 3, "hidden": 16, "samples": 2, "images": 20, "lr": 0.01}


def test_a_latent_scaled_by_zero_is_switched_off_and_by_one_is_left_alone():
    problem = build("landscape_trained", steps=1, **SMALL)
    generator = torch.Generator().manual_seed(0)
    params = {
        name: p + 0.3 * torch.randn(p.shape, generator=generator)
        for name, p in problem.params.items()
    }
    same = landscape_trained.scaled(params, 1, 3, 1.0)
    for name, tensor in params.items():
        torch.testing.assert_close(same[name], tensor)
    off = landscape_trained.scaled(params, 1, 3, 0.0)
    weight, bias = off["encoder.head.weight"], off["encoder.head.bias"]
    for row in (1, 4):  # its mean, and its log standard deviation
        assert weight[row].abs().max() == 0
        assert bias[row] == 0
    assert off["decoder.body.0.weight"][:, 1].abs().max() == 0
    for kept in (0, 2, 3, 5):
        torch.testing.assert_close(weight[kept], params["encoder.head.weight"][kept])


def test_slices_meet_where_nothing_is_scaled():
    problem = build("landscape_trained", steps=1, **SMALL)
    generator = torch.Generator().manual_seed(0)
    x, hidden = (torch.randn(20, size, generator=generator) for size in (8, 16))
    noise = torch.randn(2, 20, 3, generator=generator)

    def model(params: dict[str, Tensor]) -> landscape_trained.Model:
        """The decoder's first layer alone: linear in z."""
        q = gaussian.from_head(hidden @ params["encoder.head.weight"].T)
        return x, q, q.rsample({"z": noise}) @ params["decoder.body.0.weight"][:8].T

    found = landscape_trained.slices(3, problem.params, model)["loss"]
    assert found.shape == (3, 4, len(landscape_trained.SCALES))
    at_one = found[..., landscape_trained.SCALES.index(1.0)]
    torch.testing.assert_close(at_one, at_one[:1].expand(3, 4))
    assert found.std(0).max() > 0.01  # elsewhere they differ


def test_a_trained_network_has_rows_for_every_gamma(tmp_path):
    found = trained(tmp_path, "landscape_trained", steps=200, **SMALL)
    used = only(found, "active_dims").item()
    assert only(found, "gamma_over_best").item() == pytest.approx(1, abs=0.2)
    kinds = ["used"] * (used > 0) + ["unused"] * (used < 3)
    for kind in kinds:
        times = found[(found["metric"] == "slice_minimiser") & (found["latents"] == kind)]
        assert times["gamma_times"].tolist() == [1, 10, 100, 1000]
