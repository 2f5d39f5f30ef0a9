"""What theory fixes of the linear VAE: best gamma, slopes, the beta threshold, Lemmas 2 and 3.

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021), eqs. (3),
(6) and (7) and section 2.3; float64, another rotation of the data per seed. A1: the slope of
eq. (3) against log gamma at eq. (6), relative to d, with the likelihood that training uses. A2: the
least loss over gamma and its slope, d - beta r. A3: the gamma in [e^-12, e^4] at which it is least.
`lemmas` has the rest. Losses are those of eq. (3): twice the negative ELBO without its constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro.cell import Cell
from paper_repro.likelihoods import gaussian_closed_form, gaussian_gamma
from paper_repro.rows import Row, coordinates
from paper_repro.studies.infinite_gradients.tasks import lemmas, linear_theory
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS: dict[str, Any] = {}
LATENTS = 5
PIXELS, SPECTRUM = 12, (1.5, 1.0, 0.6)  # of A1 and A2
BETAS = (1.0, 2.0, 3.0, 5.0)
EXPONENTS = (3, 4, 5, 6, 7, 8)  # gamma from 1e-3 to 1e-8
ISOTROPIC_PIXELS, ISOTROPIC = 10, (1.0, 1.0)  # of A3
# beta in units of d / r = 5; 0.2, 0.6, 0.9, 1.1 and 1.6 are beta = 1, 3, 4.5, 5.5 and 8
RATIOS = (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
WINDOW = (-12.0, 4.0)  # log gamma


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    return measurement(lambda: list(rows(stream(seed, "init", "linear"))))


def rows(generator: Generator) -> Iterator[Row]:
    """All rows of one rotation of the data."""
    yield Row("gamma_star_slope", gamma_star_slope(generator), "1")
    yield from slopes(generator)
    yield from threshold()
    yield from lemmas.rows(generator)


def gamma_star_slope(generator: Generator, gamma_scale: float = 1.0) -> float:
    """|dL/dlog gamma| / d at `gamma_scale` times eq. (6), for a random linear VAE and drawn z."""
    images, samples = 40, 3

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x, decoder = normal(images, PIXELS), normal(PIXELS, LATENTS)
    z = x @ normal(PIXELS, LATENTS) / PIXELS + 0.3 * normal(samples, images, LATENTS)
    output = z @ decoder.T
    best = gamma_scale * gaussian_closed_form.variance(x, output)

    log_gamma = best.log().requires_grad_()
    loss = -2 * gaussian_gamma.log_likelihood(x, output, {"log_gamma": log_gamma}).mean()
    (slope,) = torch.autograd.grad(loss, log_gamma)
    return abs(float(slope)) / PIXELS


def slopes(generator: Generator) -> Iterator[Row]:
    """A2: the loss where it is least, as formula and as evaluated, and its slope in log gamma."""
    spectrum = torch.tensor(SPECTRUM, dtype=torch.float64)
    axes = linear_theory.rotation(PIXELS, len(spectrum), generator)
    factor = axes * spectrum.sqrt()
    log_gamma = torch.tensor([10.0**-e for e in EXPONENTS], dtype=torch.float64).log()
    for beta in BETAS:
        expected = PIXELS - beta * len(spectrum)
        formula = linear_theory.minimised_loss(spectrum, PIXELS, LATENTS, beta, log_gamma)
        found, steepest = [], 0.0
        for place, at_gamma in enumerate(log_gamma):
            gamma = float(at_gamma.exp())
            params = linear_theory.optimum(axes, spectrum, LATENTS, gamma, beta)
            params = {name: tensor.requires_grad_() for name, tensor in params.items()}
            value = linear_theory.loss(params, factor, beta)
            gradient = dict(
                zip(params, torch.autograd.grad(value, list(params.values())), strict=True)
            )
            found.append(value.detach())
            own = abs(float(gradient.pop("log_gamma")) - expected)
            others = max(float(g.abs().max()) for g in gradient.values())
            steepest = max(steepest, own, gamma * others)  # the curvature is of order 1 / gamma
            at = coordinates(beta=beta, gamma=10.0 ** -EXPONENTS[place])
            yield Row("minimised_loss", float(formula[place]), "nats", at=at)
        at = coordinates(beta=beta)
        slope = float(linear_theory.line_slope(log_gamma, torch.stack(found)))
        yield Row("loss_slope", slope, "1", at=at)
        yield Row("loss_slope_theory", expected, "1", at=at)
        yield Row("loss_slope_error", abs(slope - expected), "1", at=at)
        yield Row("stationarity", steepest, "1", at=at)
        off = (torch.stack(found) / formula - 1).abs().max()
        yield Row("minimised_loss_relative_error", float(off), "1", at=at)


def threshold() -> Iterator[Row]:
    """A3: where the minimised loss is least in WINDOW, and the latents that are then in use."""
    pixels, spectrum = ISOTROPIC_PIXELS, torch.tensor(ISOTROPIC, dtype=torch.float64)
    log_gamma = torch.linspace(*WINDOW, 16001, dtype=torch.float64)
    for ratio in RATIOS:
        beta = ratio * pixels / len(spectrum)
        values = linear_theory.minimised_loss(spectrum, pixels, LATENTS, beta, log_gamma)
        best = float(log_gamma[values.argmin()])
        at = coordinates(beta=beta, ratio=ratio)
        yield Row("minimiser_log_gamma", best, "nats", at=at)
        gamma = float(torch.tensor(best).exp())
        used = linear_theory.active(spectrum, beta, gamma)
        yield Row("minimiser_active_dims", used, "1", at=at)
