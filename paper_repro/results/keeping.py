"""Files that are written anew only where they say something new.

The same rows give the same numbers but for their last digits: another CPU, another BLAS or another
allowed version of a library rounds differently. A file that differs from the one already there by
no more than that stays as it is, so that a clone that redraws what is shipped does not change it.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path

from paper_repro import atomic

# Two numbers are the same within one unit of the sixth digit (claims.csv has no more) or, where
# they are differences of numbers near 1, within 1e-12. Measured between numpy 2.0 and 2.4, pandas
# 2.2 and 3.1 and with vector units switched off: 3e-9 relative, 1e-15 where numbers cancel.
RELATIVE = 1e-5
ROUNDING = 1e-12
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)")
FRACTION = re.compile(r"(?<![\w.])-?(?:\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![\w.])")


def same_number(one: float, other: float) -> bool:
    """Whether two numbers differ by rounding alone; NaN is NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ROUNDING)


def same_csv(old: str, new: str) -> bool:
    """Whether two CSV texts hold the same: texts and whole numbers exactly, other numbers but for
    rounding."""
    ours, theirs = (list(csv.reader(io.StringIO(text, newline=""))) for text in (old, new))
    return [len(row) for row in ours] == [len(row) for row in theirs] and all(
        _same_entry(one, other)
        for row, its in zip(ours, theirs, strict=True)
        for one, other in zip(row, its, strict=True)
    )


def same_markdown(old: str, new: str) -> bool:
    """Whether two Markdown tables say the same but for the fractions in their rows, which stand
    with all their digits in the CSV file beside them."""
    return _without_fractions(old) == _without_fractions(new)


def write_csv(path: Path, text: str) -> None:
    """Write a CSV file, or keep the one that is there if it holds the same."""
    if path.is_file() and same_csv(path.read_text(encoding="utf-8"), text):
        keep([path])
    else:
        atomic.write_text(path, text)


def keep(paths: Iterable[Path]) -> None:
    """Leave files as they are, but as new as the rows they follow from: Snakemake goes by that."""
    for path in paths:
        os.utime(path)


def _same_entry(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (NUMBER.fullmatch(one) and NUMBER.fullmatch(other)):
        return False
    counts = one.lstrip("+-").isdigit() and other.lstrip("+-").isdigit()
    return not counts and same_number(float(one), float(other))


def _without_fractions(text: str) -> list[str]:
    return [FRACTION.sub("#", line) if line.startswith("|") else line for line in text.splitlines()]
