"""The flow against its own Jacobian, and as a density."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from paper_repro.distributions.flow import LOG_SCALE_BOUND, Flow, init_params
from tests.distributions import facts


def flow(
    dim: int = 3, layers: int = 4, scale: float = 1.5, seed: int = 0, depth: int = 1, **kwargs
) -> Flow:
    generator = torch.Generator().manual_seed(seed)
    params = init_params(
        generator,
        dim=dim,
        layers=layers,
        hidden=8,
        depth=depth,
        scale=scale,
        dtype=torch.float64,
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
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_inverse_undoes_forward_and_their_log_determinants_cancel(dim, layers, depth):
    f, base = flow(dim, layers, depth=depth), points(50, dim)
    z, forward = f.forward(base)
    back, inverse = f.inverse(z)
    torch.testing.assert_close(back, base, rtol=0, atol=1e-10)
    torch.testing.assert_close(inverse, -forward, rtol=0, atol=1e-10)
    assert (z - base).abs().max() > 0.1


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 2])
def test_log_determinant_is_that_of_the_autograd_jacobian(dim, layers, depth):
    f = flow(dim, layers, depth=depth)
    for base in points(5, dim):
        jacobian = torch.autograd.functional.jacobian(lambda b: f.forward(b)[0], base)
        expected = torch.linalg.slogdet(jacobian)
        assert expected.sign == 1
        torch.testing.assert_close(f.forward(base)[1], expected.logabsdet, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2])
def test_log_prob_is_the_change_of_variables(depth):
    f, base = flow(depth=depth), points(6, 3)
    z, log_det = f.forward(base)
    expected = Normal(0.0, 1.0).log_prob(base).sum(-1) - log_det
    torch.testing.assert_close(f.log_prob(z), expected, rtol=0, atol=1e-10)
    facts.log_prob_is_the_change_of_variables(f)


@pytest.mark.parametrize("depth", [1, 2])
def test_density_integrates_to_one(depth):
    axis = torch.linspace(-12, 12, 801, dtype=torch.float64)
    f = flow(dim=2, layers=3, scale=0.7, depth=depth)
    density = f.log_prob(torch.cartesian_prod(axis, axis)).exp()
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


def test_more_hidden_layers_leave_the_draws_of_the_first_and_last_as_they_are():
    shallow, deep = (
        init_params(torch.Generator().manual_seed(3), dim=4, layers=6, hidden=5, depth=depth)
        for depth in (1, 2)
    )
    assert shallow.keys() == {"weight_in", "bias_in", "weight_out", "bias_out"}
    assert all(torch.equal(deep[name], shallow[name]) for name in shallow)
    assert deep["weight_hidden"].shape == (6, 1, 5, 5)
    assert deep["weight_hidden"].std() > 0.1


def test_draws_of_one_hidden_layer_are_those_of_the_published_study():
    generator = torch.Generator().manual_seed(3)
    params = init_params(torch.Generator().manual_seed(3), dim=2, layers=2, hidden=3)
    for name, shape in (("weight_in", (2, 2, 3)), ("weight_out", (2, 3, 4))):
        bound = (6 / (shape[1] + shape[2])) ** 0.5
        expected = (2 * torch.rand(shape, generator=generator) - 1) * bound
        assert torch.equal(params[name], expected)


def test_every_hidden_layer_of_a_deep_net_is_used():
    f, z = flow(depth=3), points(5, 3)
    hidden = [f.params[name].requires_grad_() for name in ("weight_hidden", "bias_hidden")]
    for gradient in torch.autograd.grad(f.log_prob(z).sum(), hidden):
        assert gradient.shape[:2] == (4, 2)
        assert gradient.flatten(2).abs().amax(-1).min() > 0


def test_a_flow_without_batch_is_a_prior_for_any_batch_of_latents():
    f, z = flow(depth=2), points(7, 4, 3)
    expected = torch.stack([f.log_prob(element) for element in z.unbind(1)], 1)
    torch.testing.assert_close(f.log_prob(z), expected, rtol=0, atol=1e-12)


def test_sample_is_the_reparameterised_one_without_gradient():
    f, noise = flow(depth=2), {"z": points(7, 3)}
    for p in f.params.values():
        p.requires_grad_()
    assert torch.equal(f.sample(noise), f.rsample(noise))
    assert f.rsample(noise).requires_grad
    assert not f.sample(noise).requires_grad


def test_flows_of_a_stack_run_under_vmap():
    flows = [flow(depth=2, seed=seed) for seed in (0, 1)]
    stacked = {name: torch.stack([f.params[name] for f in flows]) for name in flows[0].params}
    z = points(2, 7, 3)
    found = torch.vmap(lambda params, z: Flow(params).log_prob(z))(stacked, z)
    expected = torch.stack([f.log_prob(element) for f, element in zip(flows, z, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_net_without_hidden_layer_is_refused():
    with pytest.raises(ValueError, match=r"^depth:"):
        init_params(torch.Generator(), dim=2, layers=2, hidden=4, depth=0)


def test_a_single_dimension_is_refused():
    with pytest.raises(ValueError, match="dim: a coupling layer needs"):
        init_params(torch.Generator(), dim=1, layers=2, hidden=4)


def test_parameters_of_wrong_name_or_shape_are_refused():
    params = dict(flow().params)
    with pytest.raises(ValueError, match="params: names"):
        Flow({name: p for name, p in params.items() if name != "bias_in"})
    with pytest.raises(ValueError, match=r"params\['bias_out'\]: shape"):
        Flow(params | {"bias_out": params["bias_out"][:, :-1]})
    deep = dict(flow(depth=2).params)
    for name in ("weight_hidden", "bias_hidden"):
        with pytest.raises(ValueError, match="params: names"):
            Flow({n: p for n, p in deep.items() if n != name})
        with pytest.raises(ValueError, match=rf"params\['{name}'\]: shape"):
            Flow(deep | {name: deep[name][..., :-1]})
