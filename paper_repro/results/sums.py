"""SHA256SUMS: the hash of every table and array beside it, in the format of sha256sum.

    cd results/published/studies/conformance && sha256sum --check --quiet SHA256SUMS

Whoever writes tables writes it last; what was edited, cut or lost since is named when
the folder is read. Derived files (claims.csv) are not listed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from paper_repro import atomic
from paper_repro.errors import UserError
from paper_repro.results.csvfile import Readable
from paper_repro.results.files import paths

NAME = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def write(root: Path) -> None:
    """Write the hashes of what lies in `root`."""
    lines = [f"{_sum(root / name)}  {name}\n" for name in paths(root)]
    atomic.write_text(root / NAME, "".join(lines))


def fault(root: Readable, names: Iterable[str]) -> str:
    """What differs first between SHA256SUMS and the files `names` in `root`; "" for nothing.
    UserError for a file that cannot be read."""
    listed: dict[str, str] = {}
    content = (root / NAME).read_bytes().decode("utf-8", errors="replace")
    for n, line in enumerate(content.split("\n")[:-1], start=1):
        match = LINE.fullmatch(line)
        if match is None or match[2] in listed:
            return f"{root / NAME}, line {n}: is no line that sha256sum writes, or a second one"
        listed[match[2]] = match[1]
    there = set(names)
    for name in sorted(there | set(listed)):
        if name not in there:
            return f"{root / NAME}: {name} is listed, but not there"
        if name not in listed:
            return f"{root / name}: not listed in {NAME}"
        if _sum(root / name) != listed[name]:
            return f"{root / name}: not as it was written (its hash is not that in {NAME})"
    return "" if content.endswith("\n") else f"{root / NAME}: cut short"


def _sum(path: Readable) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
