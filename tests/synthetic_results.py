"""Made-up results with the columns and names of real ones, for testing what is drawn from them."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from paper_repro.results import sums
from paper_repro.results.files import COLUMNS, Record, Tables, array_path
from paper_repro.results.staged import write_results

STUDY = "sticking_the_landing"
TIER = "smoke"
STEPS = 1400
Lost = dict[tuple[str, int], str]  # (cell, seed) of a run without numbers -> its status
Values = Iterator[tuple[str, str, str, int, float, str]]  # metric, at, estimator, step, value, kind


class Writer:
    """Collects cells, runs and rows; `write` makes a results folder of them."""

    def __init__(self, lost: Lost) -> None:
        self.tables: Tables = {name: [] for name in COLUMNS}
        self.lost = lost

    def cell(self, experiment: str, cell: str, params: dict, seeds: int, values) -> None:
        """One cell; ``values(seed, rng)`` yields its rows."""
        planned = {"steps": STEPS, **params}
        self.tables["cells"].append(
            (STUDY, experiment, cell, TIER, experiment, json.dumps(planned, sort_keys=True))
        )
        cost = {
            "study": STUDY,
            "experiment": experiment,
            "cell": cell,
            "tier": TIER,
            "device": "cpu",
            "device_name": "a cpu",
            "runs": "3",
            "seconds": "1.5",
            "steps_per_second": "10.0",
            "peak_memory_mib": "5.0",
            "flops": "",
        }
        self.tables["costs"].append(tuple(cost[c] for c in COLUMNS["costs"]))
        for seed in range(seeds):
            run_id = f"{cell}-{seed}"
            run = {
                "run_id": run_id,
                "study": STUDY,
                "experiment": experiment,
                "cell": cell,
                "seed": str(seed),
                "tier": TIER,
                "device": "cpu",
                "device_name": "a cpu",
                "steps": str(STEPS),
                "seconds": "1.5",
                "steps_per_second": "66.7",
                "torch": "2.11.0",
                "python": "3.12.1",
                "fingerprint": "ab12",
                "commit": "0123abc",
                "status": self.lost.get((cell, seed), "ok"),
                "started": "2026-01-02T03:04:05+00:00",
                "finished": "2026-01-02T03:04:06+00:00",
                "members": "1",
                "registered": "",
            }
            self.tables["runs"].append(tuple(run[c] for c in COLUMNS["runs"]))
            if run["status"] != "ok":
                continue
            for metric, at, estimator, step, value, kind in values(np.random.default_rng(seed)):
                row = dict(
                    run,
                    dataset=str(params.get("dataset", "")),
                    model="",
                    estimator=estimator or str(params.get("estimator", "")),
                    objective=str(params.get("objective", "")),
                    split="test" if kind == "final" else "train",
                    step=str(STEPS if kind == "final" else step),  # rows that stand for a run
                    metric=metric,
                    value=repr(float(value)),
                    unit="1",
                    at=at,
                )
                table = "curves" if kind == "curve" else "metrics"
                self.tables[table].append(_record(row))

    def write(self, root: Path) -> Path:
        """Write the results folder and return it."""
        write_results(self.tables, {}, root)
        return root


def _record(row: dict[str, str]) -> Record:
    return tuple(row[column] for column in COLUMNS["metrics"])


def everything(root: Path, seeds: int = 3, lost: Lost | None = None) -> Path:
    """A results folder with rows for every figure."""
    writer = Writer(lost or {})
    for make in (_fits, _variances, _table1):
        make(writer, seeds)
    writer.write(root)
    _surface(root)
    return root


def empty(root: Path) -> Path:
    """A results folder in which nothing was run."""
    return Writer({}).write(root)


def _fits(writer: Writer, seeds: int) -> None:
    for optimizer, (estimator, score, c) in itertools.product(
        ("adam", "sgd"),
        [
            ("total", "", 0.0),
            ("path", "", 0.0),
            ("exact_entropy", "", 0.0),
            ("exact_kl", "", 0.0),
            ("control_variate", "fixed", 0.25),
            ("control_variate", "fixed", 0.5),
            ("control_variate", "fixed", 0.75),
            ("control_variate", "schedule", 0.0),
            ("control_variate", "running", 0.0),
        ],
    ):
        if optimizer == "sgd" and estimator not in ("total", "path"):
            continue
        params = {
            "estimator": estimator,
            "optimizer": optimizer,
            "score": score,
            "c": c,
            "dim": 100,
            "lr": 0.01,
        }
        name = "-".join(filter(None, ["gaussian_fit", estimator, score, f"c{c}", optimizer]))
        floor = 1e-6 if estimator == "path" else 0.5
        writer.cell(
            "gaussian_fit", name, params, seeds, lambda rng, f=floor: _decay(rng, f, "kl_last100")
        )
    for target, estimator in itertools.product(
        ("same_family", "banana"), ("total", "path", "partial")
    ):
        floor = {"total": 0.3, "path": 1e-3, "partial": 0.05}[estimator]
        params = {"estimator": estimator, "target": target}
        writer.cell(
            "mixture_fit",
            f"mixture_fit-{target}-{estimator}",
            params,
            seeds,
            lambda rng, f=floor: _decay(rng, f, "kl_final"),
        )
    for estimator, floor in (("total", 0.3), ("path", 1e-3)):
        writer.cell(
            "flow_fit",
            f"flow_fit-{estimator}",
            {"estimator": estimator},
            seeds,
            lambda rng, f=floor: _decay(rng, f, "kl_final"),
        )


def _decay(rng: np.random.Generator, floor: float, final: str) -> Values:
    for step in range(0, 1401, 50):
        noise = np.exp(0.3 * rng.standard_normal(2))
        yield "kl", "", "", step, (30 * np.exp(-step / 120) + floor) * noise[0], "curve"
        trace = (700 * np.exp(-step / 150) + 300 * floor) * noise[1]
        yield "gradient_variance_trace", "", "", step, trace, "curve"
    yield final, "", "", 1400, floor * np.exp(0.3 * rng.standard_normal()), "final"


def _variances(writer: Writer, seeds: int) -> None:
    def path(rng: np.random.Generator) -> Values:
        for a, total, quiet in [
            (0, 1164, 703),
            (0.25, 723, 311),
            (0.5, 488, 113),
            (0.75, 371, 24),
            (0.9, 337, 3.6),
            (1, 325, 1e-28),
        ]:
            for estimator, value in (("total", total), ("path", quiet)):
                spread = np.exp(0.05 * rng.standard_normal())
                yield "gradient_variance_trace", f"a={a}", estimator, 0, value * spread, "final"
        yield "fisher_trace", "a=1", "", 0, 325.0, "final"

    def on_map(rng: np.random.Generator) -> Values:
        for m, s2 in itertools.product((0, 1), (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0)):
            for parameter, estimator in itertools.product(
                ("mu", "log_s"), ("total", "path", "optimal_c")
            ):
                c = {"total": 0.0, "path": 1.0, "optimal_c": s2}[estimator]
                rest = (s2 - c) ** 2
                theory = rest / s2 if parameter == "mu" else m**2 * s2 + 2 * rest
                at = f"parameter={parameter},m={m},s2={s2:g}"
                noise = 1 + 0.02 * rng.standard_normal()
                yield "gradient_variance_theory", at, estimator, 0, theory, "final"
                yield "gradient_variance", at, estimator, 0, theory * noise, "final"
                if estimator == "total":
                    yield "c_star", at, "", 0, s2 * noise, "final"
                    yield "c_star_theory", at, "", 0, s2, "final"

    def ratios(rng: np.random.Generator) -> Values:
        for k, group, (estimator, slope) in itertools.product(
            (1, 10, 100, 1000),
            ("encoder", "decoder"),
            (("total", -0.5), ("dreg", 0.45), ("path", 0.5)),
        ):
            value = (0.1 if slope < 0 else 0.4) * k ** (slope if group == "encoder" else 0.5)
            noise = np.exp(0.05 * rng.standard_normal())
            yield "snr", f"k={k},group={group}", estimator, 0, value * noise, "final"

    writer.cell("path_to_truth", "path_to_truth", {"dim": 100}, seeds, path)
    writer.cell("variance_map", "variance_map", {}, 1, on_map)
    writer.cell("snr", "snr", {}, 1, ratios)

    def exact(rng: np.random.Generator) -> Values:
        for i, posterior in enumerate(("gaussian", "mixture", "vae_linear", "flow")):
            at = f"posterior={posterior},dtype=float64"
            yield "path_gradient_max_abs", at, "path", 0, i * 3e-16, "final"
        for name in ("total", "path", "exact_kl", "exact_entropy", "control_variate"):
            yield "bias_z_max", "", name, 0, abs(rng.standard_normal()) + 1, "final"
        for pair in ("total-path", "total-dreg", "path-dreg"):
            yield "agreement_z", f"pair={pair},k=1", "", 0, rng.standard_normal(), "final"
        for k, name in itertools.product((1, 4, 16), ("path", "dreg")):
            z = -200.0 if (k > 1 and name == "path") else rng.standard_normal()
            yield "bias_z", f"k={k},point=wrong", name, 0, z, "final"
        for k, name in itertools.product((1, 8), ("total", "path", "dreg")):
            value = 3.9 / k if name == "total" else k * 1e-33 - 1e-33
            yield "variance_at_optimum", f"k={k}", name, 0, value, "final"
        for variant, value in (("total", 2.0), ("code", 1.0), ("exact", 1e-31)):
            yield "layer1_variance", f"variant={variant}", "", 0, value, "final"
        for k, value in ((1, 1.0), (10, 5.9), (100, 56.0), (1000, 547.0)):
            yield "bias_ratio", f"k={k}", "", 0, value, "final"

    writer.cell("exactness", "exactness", {}, 1, exact)
    flat = ("surface_range", "t=1", "", 0, 0.0, "final")
    writer.cell("surface", "surface", {}, 1, lambda rng: iter([flat]))


def _table1(writer: Writer, seeds: int) -> None:
    bounds = [("elbo", 1), ("elbo", 5), ("elbo", 50), ("iwae", 5), ("iwae", 50)]
    grid = itertools.product(("mnist", "omniglot"), (1, 2), bounds, ("total", "path"))
    cells = [("table1", *point) for point in grid]
    cells += [("table1_code", "mnist", 2, bound, "path_code") for bound in bounds[:2]]
    for experiment, dataset, layers, (objective, k), estimator in cells:
        params = {"dataset": dataset, "layers": layers, "objective": objective, "k": k}
        level = {"mnist": 88, "omniglot": 110}[dataset] - layers - 0.01 * k
        level -= {"total": 0.0, "path": 0.3, "path_code": 0.2}[estimator]
        name = f"{experiment}-{dataset}-layers{layers}-{objective}-k{k}-{estimator}"
        params |= {"estimator": estimator, "lr": {"schedule": "burda", "stages": 6}}
        rows = functools.partial(_nll, level=level, skip=len(name))
        writer.cell(experiment, name, params, seeds, rows)
    params = {"dataset": "mnist", "layers": 1, "objective": "elbo", "k": 1, "estimator": "total"}
    writer.cell("training_variance", "training_variance", params, seeds, _training)


def _nll(rng: np.random.Generator, level: float, skip: int) -> Values:
    common, own = rng.standard_normal(), rng.standard_normal(200)[skip]
    for binarisation in ("fixed", "fresh"):
        at = f"binarisation={binarisation},samples=5000"
        yield "nll", at, "", 9, level + 0.3 * common + 0.1 * own, "final"


def _training(rng: np.random.Generator) -> Values:
    for step in range(0, 1000, 100):
        for measured, value in (("total", 1.0), ("path", 1.4 * np.exp(-step / 500))):
            noise = np.exp(0.1 * rng.standard_normal())
            yield "encoder_gradient_variance", "", measured, step, value * noise, "curve"


def _surface(root: Path) -> None:
    path = array_path(root, (STUDY, "surface", "0"))
    path.parent.mkdir(parents=True)
    t, z = np.linspace(0, 1.5, 31), np.linspace(-4, 4, 41)
    m, s = 1.5 * (1 - t)[:, None], 2.0 ** (1 - t)[:, None]
    e = (z - m) / s
    total = np.stack([-z - e / s + e / s, -z * s * e + 1], -1)
    score = np.stack([e / s, e**2 - 1], -1)
    value = -0.5 * z**2 + 0.5 * e**2 + np.log(s)
    np.savez(
        path,
        t=t,
        z=z,
        value=value,
        gradient_total=total,
        gradient_score=score,
        gradient_path=total + score,
    )
    sums.write(root)
