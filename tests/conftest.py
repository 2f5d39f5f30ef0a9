"""What every test relies on: one thread, no display, and nothing from the user's home or shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".pytest_cache" / "home"

# Read once when torch, NumPy and matplotlib are imported, so set before any test module is; jobs
# that a test starts inherit them.
os.environ.update(
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    MPLBACKEND="Agg",
    MPLCONFIGDIR=str(CACHE / "matplotlib"),
    XDG_CACHE_HOME=str(CACHE),
)
for name in ("MATPLOTLIBRC", "PAPER_REPRO_DATA", "SNAKEMAKE_PROFILE"):
    os.environ.pop(name, None)


LONGEST = ("test_smoke", "test_kills", "test_published", "test_extending", "test_damage")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: at the end the workers share what is short."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True)
def _torch_defaults() -> Iterator[None]:
    """Give torch back its one thread and float32, whatever the test before had set."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
