"""The one line for a broken file of a data set."""

from __future__ import annotations

from pathlib import Path

from paper_repro.errors import UserError

CHANGES_NO_NUMBER = True


def fault(name: str, path: Path, what: str) -> UserError:
    """A file of set `name` that cannot be used, with the remedy; its path may hold any bytes."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))
    return UserError(
        f"dataset {name}: {shown}: {what}; remove it and copy or download the set again"
    )
