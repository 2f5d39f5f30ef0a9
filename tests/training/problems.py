"""A small problem for the tests of the loop, and a way to run it in a process of its own.

A Gaussian q = N(mean, exp(log_scale)^2) is fitted to another one by the path derivative with
reparameterised noise. It carries everything a checkpoint must keep: noise, a running average and
a constant in the state, a learning-rate schedule, curves, evaluations on the way.

The number of dimensions is a multiple of the CPU's vector length: fused Adam rounds the rest of a
vector differently, and where that rest lies depends on how many seeds are stacked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.record import Registered
from paper_repro.rows import Row
from paper_repro.training.problem import Problem
from paper_repro.training.run import train_cell
from paper_repro.training.streams import stream

DIMENSIONS = 16
DIVERGES = 1000  # seeds from here on meet an infinite gradient at step 10


def cell(steps: int = 60, seeds: tuple[int, ...] = (0,), **params: object) -> Cell:
    base = {"steps": steps, "curve_points": 8, "optimizer": "adam", "lr": 0.05}
    return Cell("tests", "fit", "fit-small", "smoke", "fit", {**base, **params}, seeds)


def fit(cell: Cell, seed: int, device: str) -> Problem:
    init = stream(seed, "init", "gaussian")
    target = torch.randn(2, DIMENSIONS, generator=init).to(device)
    noise = stream(seed, "noise", "gaussian", device=device)
    lr, steps = cell.params["lr"], cell.params["steps"]

    def draw(step: int) -> dict[str, Tensor]:
        eps = torch.randn(DIMENSIONS, generator=noise, device=device)
        return {"eps": eps / 0 if seed >= DIVERGES and step == 10 else eps}

    def loss(
        params: dict[str, Tensor], state: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        mean, log_scale, (mu, log_sigma) = params["mean"], params["log_scale"], state["target"]
        z = mean + log_scale.exp() * batch["eps"]
        log_p = -(0.5 * ((z - mu) / log_sigma.exp()).square() + log_sigma).sum()
        frozen = log_scale.detach()
        log_q = -(0.5 * ((z - mean.detach()) / frozen.exp()).square() + frozen).sum()
        average = 0.9 * state["average"] + 0.1 * (log_q - log_p)
        logs = {"elbo": log_p - log_q, "average": average}
        return log_q - log_p, {**state, "average": average}, logs

    def evaluate(params: dict[str, Tensor], state: dict[str, Tensor], step: int) -> list[Row]:
        assert all(p.isfinite().all() for p in params.values()), "evaluated after divergence"
        extra = torch.randn((), generator=stream(seed, "evaluation", str(step)))
        error = (params["mean"] - state["target"][0]).norm().cpu() + extra
        kind = "final" if step == steps else "curve"
        return [
            Row("error", error.item(), "1", kind=kind),
            Row("average", state["average"].item(), "nats", at="a=1,b=2", kind=kind),
        ]

    return Problem(
        params={name: torch.zeros(DIMENSIONS, device=device) for name in ("mean", "log_scale")},
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        optimizer={"name": cell.params["optimizer"], "lr": lr},
        generators={"noise": noise},
        state={"target": target, "average": torch.zeros((), device=device)},
        learning_rate=lambda step: lr / (1 + step / steps),
        log_units={"elbo": "nats", "average": "nats"},
        arrays=lambda params: {"mean": params["mean"].cpu().numpy()},
        fingerprint="none",
        evaluate_at=(0, steps // 3),
    )


def train(
    cell: Cell,
    folder: Path,
    *,
    together: bool = False,
    checkpoint_seconds: float = 1e9,
    build: Callable[[Cell, int, str], Problem] = fit,
    sources: tuple[Path, ...] = (Path(__file__),),
    out: str = "out",
    device: str = "cpu",
    log: Path | None = None,
    register: Callable[[], Registered] = dict,
) -> Path:
    """Train with the store and the results under `folder`; returns the results' folder."""
    train_cell(
        cell,
        folder / "store",
        folder / out,
        device=device,
        threads=1,
        sources=list(sources),
        log=log,
        build=build,
        together=together,
        checkpoint_seconds=checkpoint_seconds,
        register=register,
    )
    return folder / out


def record(out: Path, seed: int = 0) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / f"seed{seed}" / "run.json").read_text())
    return content


def metrics(out: Path, seed: int = 0) -> bytes:
    return (out / f"seed{seed}" / "metrics.csv").read_bytes()


if __name__ == "__main__":  # folder, together (0 or 1), cell as JSON, seconds to sleep a step
    pause = float(sys.argv[4])

    def loud(cell: Cell, seed: int, device: str) -> Problem:
        problem = fit(cell, seed, device)
        draw = problem.draw

        def draw_loudly(step: int) -> dict[str, Tensor]:
            print(step, flush=True)
            time.sleep(pause)
            return draw(step)

        problem.draw = draw_loudly
        return problem

    train(
        Cell(**json.loads(sys.argv[3])),
        Path(sys.argv[1]),
        together=sys.argv[2] == "1",
        checkpoint_seconds=0.0,
        build=loud,
    )
