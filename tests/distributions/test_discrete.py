"""Bernoulli and categorical latents against enumeration of all their states."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special
from torch import Tensor

from paper_repro.distributions import bernoulli, categorical
from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from tests.distributions import facts
from tests.distributions.facts import DISCRETE, GROUPS, LOGITS, close, normal

families = pytest.mark.parametrize("q", DISCRETE.values(), ids=DISCRETE.keys())


@families
@pytest.mark.parametrize(
    "fact",
    [
        facts.density_is_the_table,
        facts.prior_is_uniform,
        facts.entropy_is_that_of_the_table,
        facts.divergence_is_that_of_the_table,
        facts.moments_are_those_of_the_table,
        facts.samples_have_the_frequencies_of_the_table,
        facts.sample_is_the_limit_of_relaxed,
        facts.scaled_weighs_the_gradient_alone,
    ],
    ids=lambda fact: fact.__name__,
)
def test_enumeration_confirms_that(fact, q):
    fact(q)


@families
def test_a_posterior_without_batch_axes_has_the_same_numbers(q):
    one = type(q)(q.logits[2], *([q.signed] if q.kind == "bernoulli" else []))
    noise = {"z": normal(1, *q.noise_shapes(6)["z"])}
    alone = {"z": noise["z"][:, 2]}
    close(one.relaxed(alone, 0.7), q.relaxed(noise, 0.7)[:, 2])
    close(one.log_prob(one.sample(alone)), q.log_prob(q.sample(noise))[:, 2])
    close(one.entropy(), q.entropy()[2])


def test_probabilities_are_those_of_the_logits():
    close(Bernoulli(LOGITS, signed=True).probs, 1 / (1 + torch.exp(-LOGITS)))
    close(Categorical(GROUPS).probs, GROUPS.exp() / GROUPS.exp().sum(-1, keepdim=True))


def test_binary_concrete_sample_is_that_of_its_definition():
    e = normal(2, 50, 4, 5)
    u = torch.as_tensor(special.ndtr(e.numpy()))
    expected = torch.sigmoid((LOGITS + u.log() - (1 - u).log()) / 0.6)
    close(DISCRETE["bits"].relaxed({"z": e}, 0.6), expected, rtol=1e-9)
    close(DISCRETE["signs"].relaxed({"z": e}, 0.6), 2 * expected - 1, rtol=1e-9)


def test_gumbel_softmax_sample_is_that_of_its_definition():
    e = normal(3, 50, 4, 6)
    g = torch.as_tensor(-special.log_ndtr(e.numpy())).log().neg().unflatten(-1, (2, 3))
    expected = torch.softmax((GROUPS + g) / 0.6, -1).flatten(-2)
    close(DISCRETE["groups"].relaxed({"z": e}, torch.tensor(0.6)), expected, rtol=1e-6)
    close(DISCRETE["groups"].relaxed({"z": e}, 0.6), expected)


@families
def test_relaxed_samples_have_the_gradient_of_the_sigmoid_or_softmax(q):
    logits = q.logits.clone().requires_grad_()
    live = type(q)(**vars(q) | {"logits": logits})
    noise, weight = {"z": normal(4, *q.noise_shapes(3)["z"])}, normal(5, *q.noise_shapes(3)["z"])
    z = live.relaxed(noise, 0.5)
    (found,) = torch.autograd.grad((weight * z).sum(), logits)
    z, size = z.detach(), q.logits.shape
    if q.kind == "bernoulli":
        slope = (1 - z**2) / 2 if q.signed else z * (1 - z)
        expected = (weight * slope).sum(0) / 0.5
    else:
        z, weight = (t.unflatten(-1, size[-2:]) for t in (z, weight))
        expected = (z * (weight - (weight * z).sum(-1, keepdim=True))).sum(0) / 0.5
    close(found, expected)


@families
def test_samples_carry_no_gradient(q):
    live = type(q)(**vars(q) | {"logits": q.logits.clone().requires_grad_()})
    noise = {"z": normal(6, *q.noise_shapes(3)["z"])}
    assert live.relaxed(noise, 1.0).requires_grad
    assert not live.sample(noise).requires_grad


@families
def test_frozen_is_the_same_density_that_still_passes_gradients_to_z(q):
    live = type(q)(**vars(q) | {"logits": q.logits.clone().requires_grad_()})
    z = live.relaxed({"z": normal(7, *q.noise_shapes(3)["z"])}, 0.5)
    frozen = live.frozen()
    assert torch.equal(frozen.log_prob(z), live.log_prob(z))
    assert frozen.log_prob(z).requires_grad
    assert not frozen.log_prob(z.detach()).requires_grad
    assert live.expect(z) is z


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("signed", [False, True])
def test_saturated_binary_logits_give_exact_finite_numbers_and_gradients(signed, dtype):
    logits = torch.tensor([200.0, -200.0], dtype=dtype, requires_grad=True)
    q = Bernoulli(logits, signed)
    likely = torch.tensor([1.0, -1.0 if signed else 0.0], dtype=dtype)
    unlikely = torch.tensor([-1.0 if signed else 0.0, 1.0], dtype=dtype)
    assert q.log_prob(likely).item() == pytest.approx(0, abs=1e-40)
    assert q.log_prob(unlikely).item() == -400
    assert q.entropy().item() == pytest.approx(0, abs=1e-40)
    assert q.kl_standard().item() == pytest.approx(2 * math.log(2))
    moments = q.central_moments()
    total = sum(getattr(moments, name).sum() for name in facts.NAMES)
    total = total + q.log_prob(unlikely) + q.entropy()
    (gradient,) = torch.autograd.grad(total, logits)
    assert gradient.isfinite().all()
    noise = {"z": normal(8, 100, 2, dtype=dtype)}
    assert (q.sample(noise) == likely).all()
    assert q.relaxed(noise, 0.1).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_groups_give_exact_finite_numbers_and_gradients(dtype):
    logits = torch.tensor([[200.0, -200.0, 0.0]], dtype=dtype, requires_grad=True)
    q, states = Categorical(logits), torch.eye(3, dtype=dtype)
    assert q.log_prob(states).tolist() == [0, -400, -200]
    assert q.entropy().item() == pytest.approx(0, abs=1e-40)
    assert q.kl_standard().item() == pytest.approx(math.log(3))
    total = q.log_prob(states).sum() + q.entropy() + q.central_moments().fourth.sum()
    (gradient,) = torch.autograd.grad(total, logits)
    assert gradient.isfinite().all()
    noise = {"z": normal(9, 100, 3, dtype=dtype)}
    assert (q.sample(noise) == states[0]).all()
    assert q.relaxed(noise, 0.1).isfinite().all()


def test_binary_log_densities_keep_their_relative_precision_in_the_tail():
    logits = torch.tensor([25.0, 60.0], dtype=torch.float64)
    found = torch.stack([Bernoulli(a[None]).log_prob(torch.ones(1).double()) for a in logits])
    close(found / -torch.exp(-logits), torch.ones(2, dtype=torch.float64), rtol=1e-9)


@families
def test_everything_runs_under_vmap_and_agrees_with_a_loop(q):
    def numbers(logits: Tensor, e: Tensor) -> Tensor:
        p = type(q)(**vars(q) | {"logits": logits})
        hard, soft = p.sample({"z": e}), p.relaxed({"z": e}, 0.5)
        parts = [hard, soft, p.log_prob(hard), p.log_prior(hard), p.entropy(), p.kl_standard()]
        parts += [getattr(p.central_moments(), name) for name in facts.NAMES]
        parts += [p.mean_z(), p.probs, p.scaled(0.5).frozen().log_prob(soft)]
        return torch.cat([part.flatten() for part in parts])

    logits = torch.stack([q.logits, -0.5 * q.logits])
    e = normal(10, 2, *q.noise_shapes(3)["z"])
    for function in (numbers, torch.func.grad(lambda *a: numbers(*a).square().sum())):
        loop = torch.stack([function(*pair) for pair in zip(logits, e, strict=True)])
        close(torch.vmap(function)(logits, e), loop)


def test_heads_become_posteriors():
    head = normal(11, 4, 6)
    assert bernoulli.head_size(6) == bernoulli.head_size(6, signed=False) == 6
    assert bernoulli.from_head(head).signed
    assert not bernoulli.from_head(head, signed=False).signed
    assert torch.equal(bernoulli.from_head(head).logits, head)
    assert categorical.head_size(2, classes=3) == 6
    assert torch.equal(categorical.from_head(head, classes=3).logits, head.reshape(4, 2, 3))
    assert categorical.from_head(normal(12, 4, categorical.head_size(2))).probs.shape == (4, 2, 8)


def test_options_are_the_defaults_of_the_heads():
    assert bernoulli.from_head.__kwdefaults__ == bernoulli.OPTIONS
    assert bernoulli.head_size.__kwdefaults__ == bernoulli.OPTIONS
    assert categorical.from_head.__kwdefaults__ == categorical.OPTIONS
    assert categorical.head_size.__kwdefaults__ == categorical.OPTIONS


BITS, ONE_HOT = DISCRETE["bits"], DISCRETE["groups"]
REFUSED = {
    "logits": lambda: Bernoulli(torch.tensor(0.0)),
    "logits ": lambda: Categorical(torch.zeros(3)),
    "logits  ": lambda: Categorical(torch.zeros(4, 3, 1)),
    "z": lambda: BITS.log_prob(torch.zeros(7, 4, 4)),
    "z ": lambda: BITS.log_prior(torch.zeros(7, 3, 5)),
    "z  ": lambda: ONE_HOT.log_prob(torch.zeros(7, 4, 2, 3)),
    "z   ": lambda: ONE_HOT.log_prior(torch.zeros(6)),
    "head": lambda: categorical.from_head(torch.zeros(4, 7), classes=3),
    "head ": lambda: categorical.from_head(torch.tensor(0.0), classes=3),
    "temperature": lambda: BITS.relaxed({"z": torch.zeros(1, 4, 5)}, 0.0),
    "temperature ": lambda: ONE_HOT.relaxed({"z": torch.zeros(1, 4, 6)}, -1),
    "temperature  ": lambda: ONE_HOT.relaxed({"z": torch.zeros(1, 4, 6)}, torch.ones(4)),
    "temperature   ": lambda: BITS.relaxed({"z": torch.zeros(1, 4, 5)}, float("nan")),
}


@pytest.mark.parametrize("argument", REFUSED)
def test_a_wrong_argument_is_refused_by_its_name(argument):
    with pytest.raises(ValueError, match=f"^{argument.strip()}:"):
        REFUSED[argument]()


@families
@pytest.mark.parametrize("method", ["sample", "relaxed"])
def test_noise_is_checked_by_name_and_on_every_axis_but_the_samples(method, q):
    arguments = (0.5,) if method == "relaxed" else ()
    shape = q.noise_shapes(3)["z"]
    assert getattr(q, method)({"z": torch.zeros(shape)}, *arguments).shape == shape
    for wrong in (shape[1:], (shape[0], shape[1] + 1, shape[2]), (*shape[:2], shape[2] + 1)):
        with pytest.raises(ValueError, match=r"^noise\['z'\]: shape"):
            getattr(q, method)({"z": torch.zeros(wrong)}, *arguments)
    with pytest.raises(ValueError, match=r"^noise: no entry 'z'"):
        getattr(q, method)({}, *arguments)
