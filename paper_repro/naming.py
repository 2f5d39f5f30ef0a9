"""One pattern for names, which become folders, rules of the workflow and words of a shell.

Studies, experiments, figures and tables are called ``[A-Za-z][A-Za-z0-9_]*``; the id of a cell is
its experiment's name and its settings, joined by dashes. No two names of a kind differ by case
alone, since some file systems (macOS, Windows) take them for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from paper_repro.errors import UserError, quoted

CHANGES_NO_NUMBER = True

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
ID = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*", re.ASCII)
LONGEST_NAME, LONGEST_ID = 60, 200  # a file name has at most 255 bytes, suffixes included


def check_name(name: object, what: str) -> str:
    """The name itself; UserError where it is none. `what` says whose it is."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{what}: {quoted(name)} is no name: letters, digits and _, first a letter, at "
            f"most {LONGEST_NAME}"
        )
    return name


def check_id(id: str, where: str) -> str:
    """A cell's id itself; UserError where it cannot be a folder or is too long for one."""
    if odd := sorted({c for c in id if not ID.fullmatch(f"a{c}")}):
        raise UserError(
            f"{where}: the values of its axes are its name, in which {odd[0]!r} cannot stand; "
            "letters, digits and _ . + - can"
        )
    if len(id) > LONGEST_ID:
        raise UserError(f"{where}: a name of {len(id)} characters, at most {LONGEST_ID}; vary less")
    return id


def check_distinct(names: Iterable[str], what: str) -> None:
    """UserError where two names differ by case alone."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(f"{what}: {other!r} and {name!r} differ by case alone")
