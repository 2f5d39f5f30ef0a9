"""Data sets brought to where training looks for them, and each read once: on a cluster, on the
machine that has a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from paper_repro.data import search
from paper_repro.data.catalogue import load
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError


def fetch(names: Iterable[str], data_dir: Path | str | None = None) -> Iterator[str]:
    """A line for each real set: its images, and the data directory they were read from, checked as
    for training; or why it cannot be had. Those that lie nowhere are downloaded into ./data. Holds
    one set in memory at a time. UserError at the end if a set cannot be had, with the first's why.
    """
    wanted = [name for name in dict.fromkeys(names) if DATASETS[name]["folder"]]
    lacking = dict[str, str]()
    for name in wanted:
        try:
            root = search.locate(name, data_dir)
            count = sum(load(name, data_dir, download=False).counts.values())
            yield f"{name:<16} {count:>9,} images  from {root}"
        except UserError as error:
            lacking[name] = str(error)
            yield f"{name:<16} cannot be had: {error}"
    if lacking:
        why = next(iter(lacking.values()))
        raise UserError(
            f"{len(lacking)} of {len(wanted)} data sets cannot be had: {', '.join(lacking)}; {why}"
        )
    if not wanted:
        yield "nothing to fetch: all data sets come with the package"
