"""Wrong shapes are refused by the name of the argument, under vmap too."""

from __future__ import annotations

import pytest
import torch

from paper_repro.distributions.flow import Flow, init_params
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.two_layer import TwoLayer

ones = torch.ones
GAUSSIAN = DiagonalGaussian(ones(4, 3), ones(4, 3))
MIXTURE = GaussianMixture(ones(4, 5), ones(4, 5, 3), ones(4, 5, 3))
TWO_LAYER = TwoLayer(GAUSSIAN, lambda params, h: (h[..., :2], h[..., :2]), {}, size=2)
FLOW = Flow(init_params(torch.Generator(), dim=3, layers=2, hidden=4), batch=(4,))

REFUSED = {
    "log_scale": lambda: DiagonalGaussian(ones(4, 3), ones(4)),
    "mean": lambda: DiagonalGaussian(torch.tensor(0.0), torch.tensor(0.0)),
    "log_scales": lambda: GaussianMixture(ones(4, 5), ones(4, 5, 3), ones(4, 5)),
    "logits": lambda: GaussianMixture(ones(4, 3), ones(4, 5, 3), ones(4, 5, 3)),
    "means": lambda: GaussianMixture(ones(4), ones(4), ones(4)),
    "values": lambda: MIXTURE.expect(ones(6, 2, 4)),
    "z": lambda: GAUSSIAN.log_prob(ones(7, 4, 2)),
    "z ": lambda: MIXTURE.log_prob(ones(7, 3)),
    "z  ": lambda: FLOW.log_prob(ones(7, 4, 2)),
    "h2": lambda: TWO_LAYER.log_prob((ones(7, 4, 3), ones(7, 4, 3))),
    "net": lambda: TwoLayer(GAUSSIAN, lambda p, h: (h, h), {}, 2).log_prob((ones(4, 3), ones(4))),
    "variant": lambda: TWO_LAYER.frozen(variant="halfway"),
}


@pytest.mark.parametrize("argument", REFUSED)
def test_a_wrong_argument_is_refused_by_its_name(argument):
    with pytest.raises(ValueError, match=f"^{argument.strip()}:"):
        REFUSED[argument]()


@pytest.mark.parametrize("posterior", [GAUSSIAN, MIXTURE, TWO_LAYER, FLOW])
def test_noise_is_checked_by_name_and_on_every_axis_but_the_samples(posterior):
    shapes = posterior.noise_shapes(6)
    noise = {name: ones(shape) for name, shape in shapes.items()}
    posterior.rsample(noise)
    for name in [n for n in shapes if n != "component"]:
        for axis in range(len(shapes[name])):
            is_sample_axis = axis == (1 if posterior is MIXTURE else 0)
            if is_sample_axis:
                continue
            wrong = list(shapes[name])
            wrong[axis] += 1
            with pytest.raises(ValueError, match=rf"^noise\['{name}'\]: shape"):
                posterior.rsample(noise | {name: ones(wrong)})
        with pytest.raises(ValueError, match=rf"^noise\['{name}'\]: shape"):
            posterior.rsample(noise | {name: ones(shapes[name][1:])})
        with pytest.raises(ValueError, match=rf"^noise: no entry '{name}'"):
            posterior.rsample({n: e for n, e in noise.items() if n != name})


@pytest.mark.parametrize("posterior", [GAUSSIAN, MIXTURE, TWO_LAYER, FLOW])
def test_samples_and_log_densities_have_the_documented_shapes(posterior):
    noise = {name: ones(shape) for name, shape in posterior.noise_shapes(6).items()}
    z = posterior.rsample(noise)
    log_q = posterior.log_prob(z)
    assert log_q.shape == ((5, 6, 4) if posterior is MIXTURE else (6, 4))
    assert posterior.expect(log_q).shape == (6, 4)
    layers = z if isinstance(z, tuple) else (z,)
    assert [h.shape[-1] for h in layers] == ([3, 2] if posterior is TWO_LAYER else [3])


def test_shapes_are_checked_under_vmap():
    def log_prob(mean, z):
        return DiagonalGaussian(mean, mean).log_prob(z)

    assert torch.vmap(log_prob)(ones(2, 4, 3), ones(2, 7, 4, 3)).shape == (2, 7, 4)
    with pytest.raises(ValueError, match=r"^z: shape"):
        torch.vmap(log_prob)(ones(2, 4, 3), ones(2, 7, 4, 2))
