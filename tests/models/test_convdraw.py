"""ConvDRAW: the network, and its posterior as estimators use it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from paper_repro import registry
from paper_repro.distributions.convdraw import (
    ConvDRAW,
    Trace,
    generate,
    log_prior,
)
from paper_repro.estimators import exact_kl
from paper_repro.models.convdraw import SIZES, ConvDRAWNet

SHAPE, SMALL = (1, 8, 8), {"hidden": 3, "z_channels": 2, "steps": 3}
BATCH, PIXELS = 2, 64


def normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def network(condition_channels: int = 0, **sizes: int) -> ConvDRAWNet:
    init = torch.Generator().manual_seed(0)
    sizes = {**SMALL, **sizes}
    return ConvDRAWNet(SHAPE, 1, init, condition_channels=condition_channels, **sizes).double()


def weights(net: nn.Module, requires_grad: bool = False) -> dict[str, Tensor]:
    return {
        name: weight.detach().clone().requires_grad_(requires_grad)
        for name, weight in net.named_parameters()
    }


def posterior_of(
    net: ConvDRAWNet, params: dict[str, Tensor], x: Tensor, condition: Tensor | None = None
) -> ConvDRAW:
    return ConvDRAW(net.call, params, x, net.steps, net.units, condition)


def likelihood(x: Tensor):
    return lambda output: -0.5 * (x - output).square().sum(-1)


def log_joint(trace: Trace) -> tuple[Tensor, Tensor]:
    return likelihood(X)(trace.output), log_prior(trace)


def noise_of(posterior: ConvDRAW, samples: int, seed: int = 5) -> dict[str, Tensor]:
    return {name: normal(seed, *s) for name, s in posterior.noise_shapes(samples).items()}


X = torch.sigmoid(normal(1, BATCH, PIXELS))


@pytest.fixture
def net() -> ConvDRAWNet:
    return network()


@pytest.fixture
def posterior(net: ConvDRAWNet) -> ConvDRAW:
    return posterior_of(net, weights(net), X)


def test_a_trace_has_one_gaussian_per_step_and_a_raw_output(posterior: ConvDRAW) -> None:
    trace = posterior.rsample(noise_of(posterior, 4))
    assert posterior.units == 2 * 2 * 2
    for part in trace[:5]:
        assert part.shape == (4, BATCH, 3, 8)
    assert trace.output.shape == (4, BATCH, PIXELS)
    assert posterior.log_prob(trace).shape == log_prior(trace).shape == (4, BATCH)


def test_the_draws_are_the_noise_moved_and_scaled(posterior: ConvDRAW) -> None:
    noise = noise_of(posterior, 4)
    trace = posterior.rsample(noise)
    found = (trace.z - trace.posterior_mean) / trace.posterior_log_scale.exp()
    torch.testing.assert_close(found, noise["z"])


def test_densities_and_divergence_are_those_of_torch_step_by_step(posterior: ConvDRAW) -> None:
    trace = posterior.rsample(noise_of(posterior, 4))
    q = Normal(trace.posterior_mean, trace.posterior_log_scale.exp())
    p = Normal(trace.prior_mean, trace.prior_log_scale.exp())
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(
        posterior.log_prob(trace), q.log_prob(trace.z).sum((-1, -2)), **close
    )
    torch.testing.assert_close(log_prior(trace), p.log_prob(trace.z).sum((-1, -2)), **close)
    expected = kl_divergence(q, p).sum((-1, -2))
    torch.testing.assert_close(posterior.kl_along(trace), expected, **close)


def test_the_mean_log_ratio_is_the_mean_divergence_along_the_draws(net: ConvDRAWNet) -> None:
    """Also where later steps depend on the draws, which makes the divergence random."""
    params = {name: 3 * weight for name, weight in weights(net).items()}
    posterior = posterior_of(net, params, X)
    trace = posterior.rsample(noise_of(posterior, 5000))
    along = posterior.kl_along(trace)
    assert bool((along.std(0) > 0.05).all())
    gap = posterior.log_prob(trace) - log_prior(trace) - along
    assert bool((gap.mean(0).abs() < 6 * gap.std(0) / 5000**0.5).all())
    doubled = gap - along  # on purpose
    assert bool((doubled.mean(0).abs() > 6 * doubled.std(0) / 5000**0.5).all())


def test_the_first_prior_knows_no_image_and_the_later_ones_know_the_draws(
    posterior: ConvDRAW,
) -> None:
    trace = posterior.rsample(noise_of(posterior, 4))
    first = trace.prior_mean[..., 0, :]
    assert torch.equal(first, first[:1, :1].expand_as(first))
    later = trace.prior_mean[..., 1, :]
    assert bool(((later - later[:1]).abs().amax(-1)[1:] > 0).all())


def test_one_step_is_a_plain_vae_with_a_gaussian_prior_of_its_own() -> None:
    """q does not depend on the draw, p on nothing: the divergence is one number an image."""
    net = network(steps=1)
    params = weights(net)
    params["prior.bias"] = normal(2, *params["prior.bias"].shape)
    posterior = posterior_of(net, params, X)
    trace = posterior.rsample(noise_of(posterior, 4))
    for part in trace[1:5]:
        assert torch.equal(part, part[:1].expand_as(part))
    mean, raw = params["prior.bias"].repeat_interleave(4).chunk(2)
    torch.testing.assert_close(trace.prior_mean[0, 0, 0], mean)
    scale = nn.functional.softplus(raw)
    torch.testing.assert_close(trace.prior_log_scale[0, 0, 0].exp(), scale, rtol=1e-5, atol=1e-6)
    q = Normal(trace.posterior_mean[0, :, 0], trace.posterior_log_scale[0, :, 0].exp())
    p = Normal(mean, scale)
    expected = kl_divergence(q, p).sum(-1).expand(4, BATCH)
    torch.testing.assert_close(posterior.kl_along(trace), expected, rtol=1e-4, atol=1e-5)


def test_heads_that_agree_leave_no_divergence(net: ConvDRAWNet) -> None:
    params = _with_agreeing_heads(weights(net))
    posterior = posterior_of(net, params, X)
    trace = posterior.rsample(noise_of(posterior, 4))
    assert bool((trace.posterior_mean != 0).all())
    zero = torch.zeros(4, BATCH, dtype=torch.float64)
    torch.testing.assert_close(posterior.kl_along(trace), zero)
    torch.testing.assert_close(posterior.log_prob(trace), log_prior(trace))


def test_every_weight_has_a_finite_gradient_that_is_not_zero() -> None:
    net = network(condition_channels=2)
    params = weights(net, requires_grad=True)
    posterior = posterior_of(net, params, X, normal(3, BATCH, 2 * PIXELS))
    trace = posterior.rsample(noise_of(posterior, 4))
    log_likelihood, prior = log_joint(trace)
    (log_likelihood + prior - posterior.log_prob(trace)).mean().backward()
    for name, weight in params.items():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert bool((weight.grad != 0).any()), name


def test_scales_stay_finite_at_extreme_heads(net: ConvDRAWNet) -> None:
    params = weights(net)
    for head in ("prior", "posterior"):
        params[f"{head}.bias"] = torch.full_like(params[f"{head}.bias"], -1e4)
    posterior = posterior_of(net, {n: p.requires_grad_() for n, p in params.items()}, X)
    trace = posterior.rsample(noise_of(posterior, 2))
    posterior.kl_along(trace).sum().backward()
    assert bool(trace.posterior_log_scale.isfinite().all())
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in params.values())


def test_the_frozen_density_is_the_same_number(posterior: ConvDRAW) -> None:
    trace = posterior.rsample(noise_of(posterior, 4))
    torch.testing.assert_close(
        posterior.frozen().log_prob(trace), posterior.log_prob(trace), rtol=1e-12, atol=1e-12
    )


def test_total_is_path_plus_score(net: ConvDRAWNet) -> None:
    """The path derivative detaches the weights and leaves every draw live: what it drops is
    exactly the derivative of log q at fixed draws."""
    params = {n: 3 * w.detach() for n, w in weights(net).items()}
    params = {n: w.requires_grad_() for n, w in params.items()}
    posterior = posterior_of(net, params, X)

    def gradients(value: Tensor) -> list[Tensor]:
        return list(
            torch.autograd.grad(
                value.sum(), list(params.values()), retain_graph=True, materialize_grads=True
            )
        )

    trace = posterior.rsample(noise_of(posterior, 4))
    still = trace._replace(z=trace.z.detach())
    score = gradients(replace(posterior, replays=True).log_prob(still))
    total = gradients(posterior.log_prob(trace))
    path = gradients(posterior.frozen().log_prob(trace))
    assert any(float(s.abs().max()) > 1e-3 for s in score)
    for t, p, s in zip(total, path, score, strict=True):
        torch.testing.assert_close(t, p + s, rtol=1e-9, atol=1e-9)
    # On purpose: with traced means and scales detached, the path through z_<t is lost.
    cut = trace._replace(
        posterior_mean=trace.posterior_mean.detach(),
        posterior_log_scale=trace.posterior_log_scale.detach(),
    )
    wrong = gradients(posterior.log_prob(cut))
    assert any(not torch.allclose(p, w, rtol=1e-6) for p, w in zip(path, wrong, strict=True))


def test_at_q_equal_p_the_path_derivative_of_the_inference_weights_is_zero(
    net: ConvDRAWNet,
) -> None:
    """A likelihood that ignores z makes q = p the exact posterior."""
    params = {n: w.requires_grad_() for n, w in _with_agreeing_heads(weights(net)).items()}
    posterior = posterior_of(net, params, X)
    trace = posterior.rsample(noise_of(posterior, 1))
    names = ["posterior.weight", "posterior.bias"]
    inference = [params[name] for name in names]

    def gradients(log_q: Tensor) -> tuple[Tensor, ...]:
        value = (log_prior(trace) - log_q).sum()
        return torch.autograd.grad(value, inference, retain_graph=True)

    for path, total in zip(
        gradients(posterior.frozen().log_prob(trace)),
        gradients(posterior.log_prob(trace)),
        strict=True,
    ):
        torch.testing.assert_close(path, torch.zeros_like(path), rtol=0, atol=1e-10)
        assert float(total.abs().max()) > 1e-3


def test_gradients_along_the_trace_have_the_mean_of_the_sampled_ones(net: ConvDRAWNet) -> None:
    """d kl_along and d(log q - log p) agree in expectation for every parameter."""
    params = {n: 2 * w for n, w in weights(net).items()}
    draws = 1500
    x = X[:1]

    def gap(params: dict[str, Tensor], noise: Tensor) -> Tensor:
        posterior = posterior_of(net, params, x)
        trace = posterior.rsample({"z": noise.unsqueeze(0)})
        return (posterior.log_prob(trace) - log_prior(trace) - posterior.kl_along(trace)).squeeze()

    noise = normal(6, draws, 1, net.steps, net.units)
    each = torch.func.vmap(torch.func.grad(gap), in_dims=(None, 0), chunk_size=500)(params, noise)
    for name, gradient in each.items():
        error = 6 * gradient.std(0) / draws**0.5 + 1e-10
        assert bool((gradient.mean(0).abs() < error).all()), name


def test_exact_kl_trains_on_the_divergence_along_the_trace(net: ConvDRAWNet) -> None:
    """Values are the sampled densities; gradients those of the likelihood and of `kl_along`."""
    params = weights(net, requires_grad=True)
    posterior = posterior_of(net, params, X)
    noise = noise_of(posterior, 2)
    terms = exact_kl.terms(posterior, log_joint, noise)
    trace = posterior.rsample(noise)
    torch.testing.assert_close(terms.log_prior, log_prior(trace))
    torch.testing.assert_close(terms.log_posterior, posterior.log_prob(trace))
    found = terms.log_likelihood + terms.log_prior - terms.log_posterior
    expected = likelihood(X)(trace.output) - posterior.kl_along(trace)
    leaves = list(params.values())
    for a, b in zip(
        torch.autograd.grad(found.sum(), leaves),
        torch.autograd.grad(expected.sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_members_under_vmap_are_the_members_alone() -> None:
    net = network(condition_channels=1)
    members = [{n: s * w for n, w in weights(net).items()} for s in (0.5, 1.0, 2.0)]
    stacked = {n: torch.stack([m[n] for m in members]) for n in members[0]}
    x, condition = normal(7, 3, BATCH, PIXELS), normal(8, 3, BATCH, PIXELS)
    noise = normal(9, 3, 2, BATCH, net.steps, net.units)

    def value(params, x, condition, noise) -> tuple[Tensor, ...]:
        posterior = posterior_of(net, params, x, condition)
        trace = posterior.rsample({"z": noise})
        bound = likelihood(x)(trace.output) - posterior.frozen().log_prob(trace)
        return (*trace, bound + posterior.kl_along(trace))

    together = torch.vmap(value)(stacked, x, condition, noise)
    for i, member in enumerate(members):
        for one, all_ in zip(value(member, x[i], condition[i], noise[i]), together, strict=True):
            torch.testing.assert_close(all_[i], one, rtol=1e-10, atol=1e-10)


def test_samples_are_independent_runs(posterior: ConvDRAW) -> None:
    noise = noise_of(posterior, 3)
    together = posterior.rsample(noise)
    alone = posterior.rsample({"z": noise["z"][1:2]})
    for part, one in zip(together, alone, strict=True):
        torch.testing.assert_close(part[1:2], one)


def test_the_condition_changes_prior_posterior_and_output() -> None:
    net = network(condition_channels=1)
    params, one, other = weights(net), normal(10, BATCH, PIXELS), normal(11, BATCH, PIXELS)
    traces = []
    for condition in (one, other):
        posterior = posterior_of(net, params, X, condition)
        traces.append(posterior.rsample(noise_of(posterior, 1)))
    for name, a, b in zip(Trace._fields, *traces, strict=True):
        assert bool((a != b).any()), name
    noise = normal(12, BATCH, net.steps, net.units)
    first, second = (generate(net.call, params, noise, c) for c in (one, other))
    assert bool((first != second).any())


def test_generation_is_what_the_posterior_does_where_it_equals_the_prior(
    net: ConvDRAWNet,
) -> None:
    params = _with_agreeing_heads(weights(net))
    posterior = posterior_of(net, params, X)
    noise = noise_of(posterior, 4)
    output = generate(net.call, params, noise["z"])
    assert output.shape == (4, BATCH, PIXELS)
    torch.testing.assert_close(output, posterior.rsample(noise).output)


def test_the_output_is_the_canvas_of_added_transposed_convolutions(net: ConvDRAWNet) -> None:
    """Step by step with torch's own stride-4 layers, as the papers write it."""
    params, noise = weights(net), normal(13, 1, net.steps, net.units)
    hidden = net.hidden
    kernel = params["up.weight"].reshape(hidden, 4, 4, hidden).permute(3, 0, 1, 2)
    bias = params["up.bias"] + normal(14, *params["up.bias"].shape)
    params["up.bias"] = bias
    state = cell = canvas = 0 * normal(15, 1, hidden, 2, 2)
    canvas = bias.reshape(1, hidden, 4, 4).repeat(1, 1, 2, 2)
    for t in range(net.steps):
        head = nn.functional.conv2d(state, params["prior.weight"], params["prior.bias"], padding=2)
        mean, raw = head.chunk(2, 1)
        scale = nn.functional.softplus(raw) + 1e-6
        z = mean + scale * noise[:, t].reshape(mean.shape)
        gates = nn.functional.conv2d(
            torch.cat([z, state], 1),
            params["generator.gates.weight"],
            params["generator.gates.bias"],
            padding=2,
        )
        i, f, o, g = gates.chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
        canvas = canvas + nn.functional.conv_transpose2d(state, kernel, stride=4)
    expected = nn.functional.conv2d(canvas, params["read.weight"], params["read.bias"])
    found = generate(net.call, params, noise)
    torch.testing.assert_close(found, expected.flatten(1), rtol=1e-10, atol=1e-10)


def test_the_image_is_brought_down_by_a_convolution_of_stride_4(net: ConvDRAWNet) -> None:
    image = normal(16, 2, 1, 8, 8)
    expected = nn.functional.conv2d(image, net.down.weight.reshape(-1, 1, 4, 4), stride=4)
    found = net.down(nn.functional.pixel_unshuffle(image, 4))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 12)])
@pytest.mark.parametrize("outputs", [1, 2])
def test_any_image_whose_sides_4_divides(shape: tuple[int, int, int], outputs: int) -> None:
    net = ConvDRAWNet(shape, outputs, torch.Generator().manual_seed(0), **SMALL)
    x = torch.rand(1, math.prod(shape))
    posterior = posterior_of(net, weights(net), x)
    trace = posterior.rsample({"z": torch.zeros(posterior.noise_shapes(1)["z"])})
    assert trace.output.shape == (1, 1, outputs * math.prod(shape))


def test_default_sizes_are_those_the_registry_reads() -> None:
    assert registry.constant("models", "convdraw", "SIZES") == SIZES
    net = ConvDRAWNet((1, 28, 28), 1, torch.Generator().manual_seed(0))
    assert {"hidden": net.hidden, "z_channels": net.latent[0], "steps": net.steps} == SIZES


def test_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, other = network(), network()
    assert torch.equal(before, torch.get_rng_state())
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_few_steps_of_descent_raise_the_bound(net: ConvDRAWNet) -> None:
    params = weights(net, requires_grad=True)
    optimizer = torch.optim.Adam(params.values(), lr=1e-2)
    posterior = posterior_of(net, params, X)

    def bound(seed: int) -> Tensor:
        trace = posterior.rsample(noise_of(posterior, 8, seed))
        return (100 * likelihood(X)(trace.output) - posterior.kl_along(trace)).mean()

    start = float(bound(0).detach())
    for step in range(60):
        optimizer.zero_grad()
        (-bound(step)).backward()
        optimizer.step()
    assert float(bound(0).detach()) > start + 50


@pytest.mark.parametrize(
    ("shape", "options", "named"),
    [
        ((1, 10, 8), {}, "shape"),
        ((1, 8), {}, "shape"),
        (SHAPE, {"steps": 0}, "steps"),
        (SHAPE, {"hidden": 0}, "hidden"),
        (SHAPE, {"condition_channels": -1}, "condition_channels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(shape, options, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        ConvDRAWNet(shape, 1, torch.Generator(), **options)


def test_inputs_that_do_not_fit_are_refused(net: ConvDRAWNet, posterior: ConvDRAW) -> None:
    params, noise = weights(net), noise_of(posterior, 1)
    with pytest.raises(ValueError, match=r"noise\['z'\]"):
        posterior.rsample({"z": noise["z"][..., :1, :]})
    with pytest.raises(ValueError, match=r"^x: shape"):
        posterior_of(net, params, X[:, 1:]).rsample(noise)
    with pytest.raises(ValueError, match=r"^condition: got one"):
        posterior_of(net, params, X, X).rsample(noise)
    with pytest.raises(ValueError, match=r"^condition: got none"):
        posterior_of(network(1), weights(network(1)), X).rsample(noise)
    with pytest.raises(ValueError, match=r"^condition: shape"):
        posterior_of(net, params, X, X[:1])
    misfits = [("made 3 steps", {"steps": 4}), ("step 3 with", {"steps": 2})]
    misfits += [("step 1 with", {"units": units}) for units in (1, 7)]
    for message, options in misfits:
        wrong = replace(posterior, **options)
        with pytest.raises(ValueError, match=f"^net: {message}"):
            wrong.rsample(noise_of(wrong, 1))
    draws = noise["z"][0]
    for mistaken in (draws[0], draws[:, :2], draws[..., :1], torch.cat([draws, draws], 1)):
        with pytest.raises(ValueError, match=r"^noise: "):
            generate(net.call, params, mistaken)


def _with_agreeing_heads(params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both heads read nothing and say the same: q = p, whatever the image and the draws."""
    bias = normal(17, *params["prior.bias"].shape)
    for head in ("prior", "posterior"):
        params[f"{head}.weight"] = torch.zeros_like(params[f"{head}.weight"])
        params[f"{head}.bias"] = bias.clone()
    return params
