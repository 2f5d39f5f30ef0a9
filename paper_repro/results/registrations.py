"""registrations.csv: what stood fixed before the runs of a results folder.

A run carries the SHA-256 of the rules of every claim of every study as they were at its step 0
(`record.Registered`; `claims.registration` takes them). In runs.csv they are one short digest;
registrations.csv lists, per digest that occurs there, the hash of each claim. So a digest follows
from its lines, and none can be added, lost or changed unseen. Runs that carry none, as all before
this was kept, have "".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from operator import itemgetter

from paper_repro.record import Registered
from paper_repro.results.csvfile import Record
from paper_repro.results.files import COLUMNS, NAMES, Tables

TABLE = "registrations"
LENGTH = 12  # hex digits of a digest
LINES = {
    "digest": re.compile(f"[0-9a-f]{{{LENGTH}}}"),
    "study": re.compile(r"\S+"),
    "claim": re.compile(r"\S+"),
    "hash": re.compile(r"[0-9a-f]{64}"),
}


def digest(registered: Registered) -> str:
    """What stands for a registration in runs.csv; "" for none."""
    if not registered:
        return ""
    plain = {study: dict(hashes) for study, hashes in registered.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:LENGTH]


def lines(registered: Registered) -> list[Record]:
    """The lines of a registration in registrations.csv."""
    short = digest(registered)
    return [
        (short, study, claim, found)
        for study, hashes in registered.items()
        for claim, found in hashes.items()
    ]


def used(tables: Tables) -> list[Record]:
    """Of the lines of these tables those whose digest a run carries, each once, in their order."""
    carried = set(map(itemgetter(COLUMNS["runs"].index("registered")), tables["runs"]))
    return sorted({line for line in tables[TABLE] if line[0] in carried})


def check(tables: Tables, refuse: Mapping[str, Callable[[int, str], None]]) -> None:
    """Call `refuse` of the table for the first line that cannot be right, or run whose registration
    is not there."""
    first: dict[str, int] = {}
    listed: dict[str, dict[str, dict[str, str]]] = {}
    for i, line in enumerate(tables[TABLE]):
        for (name, pattern), given in zip(LINES.items(), line, strict=True):
            if not pattern.fullmatch(given):
                refuse[TABLE](i, f"{name} {given!r} is none")
        short, study, claim, found = line
        hashes = listed.setdefault(short, {}).setdefault(study, {})
        if claim in hashes:
            refuse[TABLE](i, f"{study}/{claim} of {short} stands there twice")
        hashes[claim] = found
        first.setdefault(short, i)
    for short, i in first.items():
        if digest(listed[short]) != short:
            refuse[TABLE](i, f"the lines of {short} are not those that it is the digest of")
    carried = list(map(itemgetter(COLUMNS["runs"].index("registered")), tables["runs"]))
    for i, short in enumerate(carried):
        if short and short not in listed:
            refuse["runs"](i, f"registered {short!r} is not in {NAMES[TABLE]}")
    for short in first.keys() - set(carried):
        refuse[TABLE](first[short], f"no run in {NAMES['runs']} carries {short}")
