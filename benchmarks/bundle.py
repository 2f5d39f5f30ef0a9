"""Seeds trained together against one after another: steps/s, agreement, memory.

    python benchmarks/bundle.py --device cuda --dataset mnist --seeds 5

Trains the Table 1 model from the same start once seed by seed and once as a bundle, in one process,
and prints for each k: steps/s of one seed, bundle steps/s, the time of the bundle as a multiple of
the time of one seed, the largest relative difference of the final bound, and peak memory.
"""

from __future__ import annotations

import argparse
import time

import torch

from paper_repro import parameters
from paper_repro.cell import Cell
from paper_repro.training import checkpoint, provenance
from paper_repro.training.bundle import Bundle
from paper_repro.training.loop import stepper
from paper_repro.vae import task


def cell(dataset: str, layers: int, k: int, seeds: int) -> Cell:
    params = {
        "dataset": dataset,
        "preprocessing": "binarised",
        "model": "burda",
        "dim": 50,
        "likelihood": "bernoulli",
        "estimator": "path",
        "objective": "iwae" if k > 1 else "elbo",
        "layers": layers,
        "k": k,
        "steps": 1_000_000,
        "batch_size": 20,
        "order": "fixed",
        "reduction": "sum",
        "eps": 1e-4,
        "protocol": "importance",
    }
    full = parameters.complete("sticking_the_landing", "vae", params, "benchmark")
    return Cell("benchmark", "bundle", "bundle", "paper", "vae", full, tuple(range(seeds)))


def run(cell: Cell, seeds: tuple[int, ...], device: str, steps: int, together: bool) -> tuple:
    """(seconds, last bound of each seed) of `steps` steps after as many warm-up steps."""
    problems = [task.build(cell, seed, device) for seed in seeds]
    snapshots = [checkpoint.fresh(problem, "") for problem in problems]
    bundle = Bundle(problems, snapshots, stacked=together)
    step = stepper(bundle)
    for _ in range(steps):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start, bundle.sums[-1].reshape(-1).tolist()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    options.add_argument("--dataset", default="digits")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--k", type=int, nargs="+", default=[1, 5, 50])
    args = options.parse_args()
    device = provenance.prepare(args.device, 1)
    print(f"torch {torch.__version__} on {device}, {args.dataset}, {args.seeds} seeds")
    print("layers    k   one seed  bundle   bundle/one   largest difference   peak MiB")
    for layers in (1, 2):
        for k in args.k:
            made = cell(args.dataset, layers, k, args.seeds)
            solo = [run(made, (seed,), device, args.steps, False) for seed in made.seeds]
            one = sum(seconds for seconds, _ in solo) / len(solo)
            seconds, bounds = run(made, made.seeds, device, args.steps, True)
            worst = max(abs(a - b[0]) / abs(b[0]) for a, (_, b) in zip(bounds, solo, strict=True))
            print(
                f"{layers:6d} {k:4d} {args.steps / one:8.0f}/s {args.steps / seconds:6.0f}/s"
                f" {seconds / one:10.2f} x {worst:18.1e} {provenance.peak_memory_mib(device):12.0f}"
            )


if __name__ == "__main__":
    main()
