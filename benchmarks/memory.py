"""What it costs on Linux to hand freed memory back to the kernel.

    python benchmarks/memory.py

Runs the same training steps (Table 1 model, IWAE, k = 50) and the same importance bound in
alternating processes, with glibc's defaults and with the settings of workflow/rules/common.smk, and
prints the ratio of the medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

KEEP = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
WORK = """
import time, torch
from benchmarks.bundle import cell, run
from paper_repro.metrics.importance import log_likelihood_bound
from paper_repro.training import provenance
from paper_repro.vae.interface import Images
from paper_repro.vae.layered import Layered
from paper_repro.vae.protocols import importance
provenance.prepare("cpu", 1)
made = cell("digits", 1, 50, 1)
training, _ = run(made, (0,), "cpu", 40, False)
images = Images((1, 28, 28), torch.full((784,), 0.3), 0.1)
model = Layered(made.params, images, lambda *part: torch.Generator())
weights = importance.log_weights(model, model.parameters_by_name())
x = (torch.rand(10, 784) < 0.3).float()
start = time.perf_counter()
log_likelihood_bound(weights, x, 5000, torch.Generator(), importance.ROWS["cpu"])
print(training, time.perf_counter() - start)
"""


def measure(extra: dict[str, str]) -> tuple[float, float]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        env=clean | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "."} | extra,
        capture_output=True,
        text=True,
        check=True,
    )
    training, bound = map(float, done.stdout.split())
    return training, bound


def main() -> None:
    pairs = [(measure({}), measure(KEEP)) for _ in range(5)]
    for i, name in enumerate(("40 training steps", "importance bound")):
        default, kept = (statistics.median(p[j][i] for p in pairs) for j in (0, 1))
        print(f"{name}: default {default:.3f} s, kept {kept:.3f} s, ratio {default / kept:.2f}")


if __name__ == "__main__":
    main()
