"""One pattern for names, which become folders, rules of the workflow and words of a shell.

Studies, experiments, figures and tables are called ``[A-Za-z][A-Za-z0-9_]*``; the id of a cell is
its experiment's name and its settings, joined by dashes, of a long one the beginning and a hash. No
two names of a kind differ by case alone, since some file systems (macOS, Windows) take them for
one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from paper_repro.errors import UserError, quoted

CHANGES_NO_NUMBER = True

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
ID = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*", re.ASCII)
LONGEST_NAME = LONGEST_ID = 60
HASH = 6  # hexadecimal digits


def check_name(name: object, what: str) -> str:
    """The name itself; UserError where it is none. `what` says whose it is."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{what}: {quoted(name)} is no name: letters, digits and _, first a letter, at "
            f"most {LONGEST_NAME}"
        )
    return name


def cell_id(parts: Iterable[str], where: str) -> str:
    """The parts joined by dashes; of more than LONGEST_ID characters as many of the first ones as
    leave room for a hash of them all. UserError where they cannot name a folder."""
    parts = list(parts)
    whole = "-".join(parts)
    if odd := sorted({c for c in whole if not ID.fullmatch(f"a{c}")}):
        raise UserError(
            f"{where}: the values of its axes are its name, in which {odd[0]!r} cannot stand; "
            "letters, digits and _ . + - can"
        )
    if len(whole) <= LONGEST_ID:
        return whole
    kept = parts[0]
    for part in parts[1:]:
        if len(f"{kept}-{part}-") + HASH > LONGEST_ID:
            break
        kept = f"{kept}-{part}"
    return f"{kept[: LONGEST_ID - HASH - 1]}-{hashlib.sha256(whole.encode()).hexdigest()[:HASH]}"


def check_distinct(names: Iterable[str], what: str) -> None:
    """UserError where two names differ by case alone."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(f"{what}: {other!r} and {name!r} differ by case alone")
