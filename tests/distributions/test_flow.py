"""The flow against its own Jacobian, and as a density."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from paper_repro.distributions.flow import LOG_SCALE_BOUND, Flow, init_params


def flow(dim: int = 3, layers: int = 4, scale: float = 1.5, seed: int = 0, **kwargs) -> Flow:
    generator = torch.Generator().manual_seed(seed)
    params = init_params(
        generator, dim=dim, layers=layers, hidden=8, scale=scale, dtype=torch.float64
    )
    shifts = {
        name: p + 0.2 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
        for name, p in params.items()
    }
    return Flow(shifts, **kwargs)


def points(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("dim", [2, 3, 7])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_inverse_undoes_forward_and_their_log_determinants_cancel(dim, layers):
    f, base = flow(dim, layers), points(50, dim)
    z, forward = f.forward(base)
    back, inverse = f.inverse(z)
    torch.testing.assert_close(back, base, rtol=0, atol=1e-10)
    torch.testing.assert_close(inverse, -forward, rtol=0, atol=1e-10)
    assert (z - base).abs().max() > 0.1


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_log_determinant_is_that_of_the_autograd_jacobian(dim, layers):
    f = flow(dim, layers)
    for base in points(5, dim):
        jacobian = torch.autograd.functional.jacobian(lambda b: f.forward(b)[0], base)
        expected = torch.linalg.slogdet(jacobian)
        assert expected.sign == 1
        torch.testing.assert_close(f.forward(base)[1], expected.logabsdet, rtol=0, atol=1e-12)


def test_log_prob_is_the_change_of_variables():
    f, base = flow(), points(6, 3)
    z, log_det = f.forward(base)
    expected = Normal(0.0, 1.0).log_prob(base).sum(-1) - log_det
    torch.testing.assert_close(f.log_prob(z), expected, rtol=0, atol=1e-10)


def test_density_integrates_to_one():
    axis = torch.linspace(-12, 12, 801, dtype=torch.float64)
    density = flow(dim=2, layers=3, scale=0.7).log_prob(torch.cartesian_prod(axis, axis)).exp()
    total = density.sum() * (axis[1] - axis[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-6)


def test_every_dimension_is_moved_by_two_layers_and_half_of_them_by_one():
    base = points(10, 4)
    moved = [(flow(4, layers).forward(base)[0] != base).any(0).tolist() for layers in (1, 2)]
    assert moved == [[True, False, True, False], [True] * 4]


def test_scale_zero_is_the_identity():
    params = init_params(torch.Generator(), dim=3, layers=4, hidden=8, scale=0.0)
    base = torch.randn(5, 3)
    assert torch.equal(Flow(params).forward(base)[0], base)


def test_log_scales_stay_within_their_bound():
    f, layers = flow(scale=1000.0), 4
    z, log_det = f.forward(points(100, 3))
    assert z.isfinite().all()
    assert log_det.abs().max() <= layers * 2 * LOG_SCALE_BOUND


def test_frozen_flow_is_the_same_density_without_gradient_in_its_parameters():
    f = flow(batch=(4,))
    for p in f.params.values():
        p.requires_grad_()
    z = f.rsample({"z": points(2, 4, 3)})
    frozen = f.frozen()
    assert torch.equal(frozen.log_prob(z), f.log_prob(z))
    assert frozen.log_prob(z).requires_grad
    assert not frozen.log_prob(z.detach()).requires_grad


def test_a_single_dimension_is_refused():
    with pytest.raises(ValueError, match="dim: a coupling layer needs"):
        init_params(torch.Generator(), dim=1, layers=2, hidden=4)


def test_parameters_of_wrong_name_or_shape_are_refused():
    params = dict(flow().params)
    with pytest.raises(ValueError, match="params: names"):
        Flow({name: p for name, p in params.items() if name != "bias_in"})
    with pytest.raises(ValueError, match=r"params\['bias_out'\]: shape"):
        Flow(params | {"bias_out": params["bias_out"][:, :-1]})
