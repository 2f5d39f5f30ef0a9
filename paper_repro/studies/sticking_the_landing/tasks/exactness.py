"""What can be checked exactly: zero variance at q = p, unbiasedness, Fisher information, bias.

Roeder, Wu and Duvenaud (2017): the path derivative is unbiased for the ELBO and zero for every
sample at q = p, where the total derivative is minus the score, with the Fisher information as
covariance. Tucker et al. (2019): with K > 1 samples of the IWAE bound it is biased and DReG is
not. Ours: the released two-layer code keeps a variance in the first layer at q = p.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.gradients.draws import (
    estimate,
    gradient,
    gradient_draws,
    per_draw,
)
from paper_repro.gradients.moments import covariance_trace, flat, largest_z, moments
from paper_repro.rows import Row, coordinates
from paper_repro.studies.sticking_the_landing.tasks import rainforth, toys
from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import fisher_diagonal, kl
from paper_repro.studies.sticking_the_landing.tasks.toys import Toy
from paper_repro.training.measurement import measurement
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.streams import standard_normal, stream

PARAMS = {
    "draws": {"type": "integer", "minimum": 2, "default": 200000},
    "zero_draws": {"type": "integer", "minimum": 1, "default": 1000},
    "k": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "default": [1, 10, 100, 1000],
    },
    "k_draws": {
        "type": "array",
        "items": {"type": "integer", "minimum": 2},
        "uniqueItems": False,
        "default": [20000, 20000, 5000, 500],
    },
    "points": {"type": "integer", "minimum": 1, "default": 8},
    "dim": {"type": "integer", "minimum": 1, "default": 20},
}
PAIRED = (("k", "k_draws"),)
ESTIMATORS = (
    "total",
    "path",
    "path_code",
    "exact_kl",
    "exact_entropy",
    "control_variate",
    "dreg",
)
OBJECTIVES = ("elbo", "iwae")
CHUNK = 10_000
GRID = [(m, s2) for m in (0.0, 1.0, 2.0) for s2 in (0.25, 0.5, 1.0, 2.0)]
TARGET = (0.5, 0.8)  # mean and scale, so that no grid point and not the prior N(0, 1) is the truth
AGREEMENT = {
    ("path", "total"): "total-path",
    ("dreg", "total"): "total-dreg",
    ("path", "dreg"): "path-dreg",
}
WRONG = (1.5, 0.6)  # mean and scale of a q that is wrong for TARGET


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure all of it once; the Rainforth toy takes `k_draws[i]` draws at `k[i]`.

    UserError unless these two lists match.
    """
    p = cell.params
    if len(p["k"]) != len(p["k_draws"]):
        raise UserError(
            f"k_draws: {len(p['k_draws'])} entries for {len(p['k'])} values of k; "
            "one each is needed"
        )

    def rows() -> list[Row]:
        toy = (p["points"], p["dim"], p["k"], p["k_draws"])
        return [
            *memory.rows("zero", lambda: zero_at_optimum(seed, device, p["zero_draws"])),
            *memory.rows("fisher", lambda: fisher(seed, device, p["draws"])),
            *memory.rows("unbiased", lambda: unbiased(seed, device, p["draws"])),
            *memory.rows("multisample", lambda: multisample(seed, device, p["draws"])),
            *memory.rows("layer 1", lambda: layer1(seed, device, p["draws"])),
            *memory.rows("bias ratio", lambda: bias_ratio(seed, device, *toy)),
        ]

    memory = Memory()
    return measurement(rows, memory=memory)


def zero_at_optimum(seed: int, device: str, draws: int) -> list[Row]:
    """Largest entry of any single-sample path gradient at q = p, for every kind of posterior."""
    result = []
    for name, make in (
        ("gaussian", toys.gaussian),
        ("mixture", toys.mixture),
        ("vae_linear", toys.vae_linear),
        ("flow", toys.flow),
    ):
        for dtype in (torch.float64, torch.float32):
            toy = make(stream(seed, "init", "exactness", name), dtype, device)
            generator = stream(seed, "evaluation", "zero", name, device=device)
            noise = standard_normal(toy.noise_shapes(1), generator, draws, torch.float64)
            noise = toys.place(noise, dtype, device)
            path, total = (
                max(float(g.abs().max()) for g in found.values())
                for found in (
                    per_draw(estimate(toy.model, estimator), toy.params, noise)
                    for estimator in ("path", "total")
                )
            )
            at = coordinates(posterior=name, dtype=str(dtype).removeprefix("torch."))
            if dtype is torch.float64:
                result.append(Row("path_gradient_max_abs", path, "1", at=at, estimator="path"))
            else:
                relative = path / total
                result.append(Row("path_gradient_max_rel", relative, "1", at=at, estimator="path"))
    return result


def fisher(seed: int, device: str, draws: int) -> list[Row]:
    """Covariance of the total derivative at q = p against the Fisher information diag(1/s^2, 2).

    Relative errors of the variances (largest over dimensions), and the largest correlation
    between two entries, which should be zero.
    """
    toy = toys.gaussian(stream(seed, "init", "exactness", "fisher"), torch.float64, device)
    batches = gradient_draws(
        {"total": estimate(toy.model, "total")},
        toy.params,
        toy.noise_shapes(1),
        stream(seed, "evaluation", "fisher", device=device),
        draws=draws,
        chunk=CHUNK,
    )
    names = ("mean", "log_scale")
    covariance = torch.cat([flat(b["total"], names, 1) for b in batches]).T.cov()
    variance, exact = covariance.diagonal(), torch.cat(list(fisher_diagonal(toy.params).values()))
    error = (variance / exact - 1).abs().chunk(2)
    correlation = (covariance / torch.outer(variance, variance).sqrt()).abs()
    return [
        Row("fisher_relative_error", float(value), "1", at=coordinates(parameter=parameter))
        for parameter, value in (
            ("mu", error[0].max()),
            ("log_s", error[1].max()),
            ("cross", correlation.fill_diagonal_(0).max()),
        )
    ]


def unbiased(seed: int, device: str, draws: int) -> list[Row]:
    """Largest |z| of the mean gradient against the exact one over the grid of (m, s^2)."""
    grid = torch.tensor(GRID, dtype=torch.float64, device=device)
    params = {"mean": grid[:, :1], "log_scale": 0.5 * grid[:, 1:].log()}
    target = _gaussian(TARGET, device)
    exact = exact_gradient(params, target)
    model = toys.gaussian_model(target)
    plain = ("total", "path", "exact_kl", "exact_entropy")
    values = {name: estimate(model, name) for name in plain}
    values["control_variate"] = estimate(model, "control_variate", c=0.5)
    batches = gradient_draws(
        values,
        params,
        Toy(params, model).noise_shapes(1),
        stream(seed, "evaluation", "unbiased", device=device),
        draws=draws,
        chunk=CHUNK,
    )
    return [
        Row("bias_z_max", abs(largest_z(found, exact)), "1", estimator=estimator)
        for estimator, found in moments(batches).items()
    ]


def exact_gradient(params: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradient of -KL(q || p), the ELBO of a normalised target, for `gaussian_theory` layouts."""
    return gradient(lambda q: -kl(q, target).sum(), params)


def multisample(seed: int, device: str, draws: int) -> list[Row]:
    """The IWAE bound: variance at q = p, bias where q is wrong, agreement at K = 1."""
    points = {"truth": _gaussian(TARGET, device), "wrong": _gaussian(WRONG, device)}
    model = toys.gaussian_model(points["truth"])
    names = ("total", "path", "dreg")
    values = {name: estimate(model, name, "iwae") for name in names}
    result = []
    for k, point in ((1, "truth"), (8, "truth"), (1, "wrong"), (4, "wrong"), (16, "wrong")):
        batches = gradient_draws(
            values,
            points[point],
            Toy(points[point], model).noise_shapes(k),
            stream(seed, "evaluation", "multisample", point, str(k), device=device),
            draws=draws,
            chunk=CHUNK,
        )
        stats = moments(batches, list(AGREEMENT))
        for name in names if point == "truth" else ():
            trace, at = covariance_trace(stats[name]), coordinates(k=k)
            result.append(Row("variance_at_optimum", trace, "nats^2", at=at, estimator=name))
        for name in ("path", "dreg") if point == "wrong" else ():
            z, at = largest_z(stats[f"{name}-total"]), coordinates(k=k, point=point)
            result.append(Row("bias_z", z, "1", at=at, estimator=name))
        for (a, b), pair in AGREEMENT.items() if (k, point) == (1, "wrong") else ():
            z = abs(largest_z(stats[f"{a}-{b}"]))
            result.append(Row("agreement_z", z, "1", at=coordinates(pair=pair, k=k)))
    return result


def layer1(seed: int, device: str, draws: int) -> list[Row]:
    """Trace of the layer-1 gradient covariance at q = p with two stochastic layers."""
    toy = toys.two_layer(stream(seed, "init", "exactness", "two_layer"), torch.float64, device)
    variants = {"total": "total", "code": "path_code", "exact": "path"}
    batches = gradient_draws(
        {variant: estimate(toy.model, name) for variant, name in variants.items()},
        toy.params,
        toy.noise_shapes(1),
        stream(seed, "evaluation", "layer1", device=device),
        draws=draws,
        chunk=CHUNK,
    )
    result = []
    for variant, found in moments(batches).items():
        trace = covariance_trace({name: found[name] for name in ("mean", "log_scale")})
        at = coordinates(variant=variant)
        result.append(Row("layer1_variance", trace, "nats^2", at=at, estimator=variants[variant]))
    return result


def bias_ratio(
    seed: int, device: str, points: int, dim: int, ks: Sequence[int], draws: Sequence[int]
) -> list[Row]:
    """Mean path gradient over mean DReG gradient near the optimum, as a projection.

    The encoder's mean gradients are all but parallel; the ratio is that of the path mean's
    component along the DReG mean to the latter's length.
    """
    toy = rainforth.toy(stream(seed, "init", "rainforth"), points=points, dim=dim, device=device)
    result = []
    for k, count in zip(ks, draws, strict=True):
        generator = stream(seed, "evaluation", "rainforth", str(k), device=device)
        stats = rainforth.iwae_moments(toy, ("path", "dreg"), generator, k=k, draws=count)
        path, dreg = stats["path"]["encoder"].mean, stats["dreg"]["encoder"].mean
        ratio = float((path @ dreg) / (dreg @ dreg))
        result.append(Row("bias_ratio", ratio, "1", at=coordinates(k=k)))
    return result


def _gaussian(mean_scale: tuple[float, float], device: str) -> dict[str, Tensor]:
    mean, scale = torch.tensor(mean_scale, dtype=torch.float64, device=device).split(1)
    return {"mean": mean, "log_scale": scale.log()}
