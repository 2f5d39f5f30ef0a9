"""Seconds of what is compared, taken in turns in one process.

Whatever else the machine does falls on all of them alike; ratios are taken within a round, and the
median of the rounds counts. Between machines compare ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def in_turns(
    turns: Mapping[str, Callable[[], object]], rounds: int, warm_up: int
) -> dict[str, list[float]]:
    """Seconds of each turn in each of `rounds` rounds, which `warm_up` rounds precede; what runs
    elsewhere than on the CPU must wait for its end."""
    found: dict[str, list[float]] = {label: [] for label in turns}
    for _ in range(rounds + warm_up):
        for label, turn in turns.items():
            start = time.perf_counter()
            turn()
            found[label].append(time.perf_counter() - start)
    return {label: seconds[warm_up:] for label, seconds in found.items()}
