"""What stood fixed before a run: the SHA-256 of the rules of every claim, taken at its step 0.

A margin chosen after the result is no margin (Lakens 2017), and no author's word tells the two
apart. So every run carries the hashes of all claims of all studies as they were when it began, and
`standing` compares them with today's. Hashed is what can move a verdict: a claim's checks with
their defaults written out, the published numbers and the code of the samples that they name, the
size of the study's family, RULES_VERSION. Prose, comments, and names of checks are not. It is
provenance, no part of a run's identity: changing a rule retrains nothing. Imports neither torch nor
pandas.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paper_repro import grid, registry
from paper_repro.claims.check import Check, family_size, read
from paper_repro.errors import UserError
from paper_repro.record import Registered
from paper_repro.results import csvfile
from paper_repro.training import identity

if TYPE_CHECKING:
    from paper_repro.results.frames import Results

# Of the rules that the engine applies to a check. Raise it where the same rows and the same
# claims.yaml can get another verdict.
RULES_VERSION = 1
BEFORE, AFTER, UNKNOWN = "before", "after", "unknown"
PROSE = ("study", "claim", "name", "why")  # keys of a check that decide nothing
EMPTY: tuple[Any, ...] = (None, "", (), [], {})
CLAIMS, SAMPLES, REPORTED = "claims.yaml", "samples.py", "reported.csv"


def hashes(study: str, folder: Path | None = None) -> dict[str, str]:
    """SHA-256 of the rules of every claim of a study, by id; UserError where its files are not
    right. `folder` is the study's own unless another is given."""
    folder = folder or registry.STUDIES / study
    content = (_bytes(folder / name) for name in (CLAIMS, SAMPLES, REPORTED))
    return dict(_hashes(study, folder, *content))


def of_all_studies() -> Registered:
    """`hashes` by study. One whose files are not right is left out, with a warning: that they are
    being edited need not end another study's run, for whose claims nothing is lost by it."""
    found = {}
    for study in grid.folders():
        try:
            found[study] = hashes(study)
        except UserError as error:
            _warn(f"{error}; a run that starts now does not record the claims of {study}")
    return found


def standing(
    results: Results,
    study: str,
    claim: str,
    runs: Iterable[tuple[str, int]],
    folder: Path | None = None,
) -> str:
    """Whether the claim's present rules stood "before" all these runs (cell, seed), some were
    written "after" one began, or that is "unknown", since one carries no registration.

    A run that knew the study, but not the claim, began before the claim was written."""
    present = hashes(study, folder)[claim]
    lines = results.registrations
    lines = lines[lines["study"] == study]
    known = set(lines["digest"])
    own = lines[lines["claim"] == claim]
    then = dict(zip(own["digest"], own["hash"], strict=True))
    made = results.runs[results.runs["study"] == study]
    carried = {
        (cell, int(seed)): short
        for cell, seed, short in zip(made["cell"], made["seed"], made["registered"], strict=True)
    }
    digests = {carried.get((cell, int(seed)), "") for cell, seed in runs}
    if any(short in known and then.get(short) != present for short in digests):
        return AFTER
    return BEFORE if digests and digests <= known else UNKNOWN


@cache  # by content: a run that starts an hour later in the same job sees what was edited since
def _hashes(study: str, folder: Path, *content: bytes) -> dict[str, str]:
    claims = read(folder / CLAIMS, study)
    samples = _definitions(folder / SAMPLES, content[1])
    found = {}
    for claim in claims:
        said = []
        for check in claim.checks:
            code = _code(samples, check.sample, folder) if check.sample else ""
            source = (check.versus or {}).get("reported")
            numbers = _reported(folder / REPORTED, content[2], source) if source else []
            said.append(_json([_stated(check), code, numbers]))
        text = _json([RULES_VERSION, family_size(claims), sorted(said)])
        found[claim.id] = hashlib.sha256(text.encode()).hexdigest()
    return found


def _stated(check: Check) -> dict[str, Any]:
    """What a check says, whether of its own or by a default. A key that is not set is left out: a
    new one that nobody uses moves no hash."""
    stated = {key: value for key, value in vars(check).items() if key not in PROSE}
    return {k: v for k, v in stated.items() if v not in EMPTY and v is not False}


def _reported(path: Path, content: bytes, source: str) -> list[dict[str, str]]:
    """The rows of a source (`claims.reported`), without the words on where they stand."""
    head, *records = csvfile.parse(content, path)
    rows = [dict(zip(head, record, strict=True)) for record in records]
    own = [row for row in rows if f"{row['id']}-".startswith(f"{source}-")]
    return [{k: v for k, v in row.items() if k not in ("source", "sourced")} for row in own]


def _code(defined: Mapping[str, list[ast.stmt]], name: str, folder: Path) -> str:
    """SHA-256 of a sample and what it uses of its module, as `identity.said` has code: without
    comments, docstrings and types. What it imports is the engine's, as RULES_VERSION says."""
    if name not in defined:
        raise UserError(f"{folder / SAMPLES}: no function {name}, which {CLAIMS} names")
    found: dict[str, Any] = {}
    todo = [name]
    while todo:
        if (one := todo.pop()) not in found and one in defined:
            found[one] = [identity.said(node) for node in defined[one]]
            todo += _names(found[one])
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _definitions(path: Path, content: bytes) -> dict[str, list[ast.stmt]]:
    """The statements of a module that give a name its meaning, by name."""
    try:
        body = ast.parse(content, filename=str(path)).body
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                alone = {**vars(node), "names": [alias]}
                bound = (alias.asname or alias.name).partition(".")[0]
                found.setdefault(bound, []).append(type(node)(**alone))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.setdefault(node.name, []).append(node)
        else:  # a constant, or what happens to one
            names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            set_here = [part for part in names if isinstance(part.ctx, ast.Store)]
            for bound in {part.id for part in set_here or names}:
                found.setdefault(bound, []).append(node)
    return found


def _names(said: Any) -> Iterator[str]:
    """The names that code as by `identity.said` uses."""
    if isinstance(said, list | tuple):
        if said and said[0] == "Name":
            yield dict(said[1:])["id"]
        for part in said:
            yield from _names(part)


def _json(value: Any) -> str:
    """Canonical JSON: sorted keys; 1.0 is 1."""
    return json.dumps(_plain(value), sort_keys=True, default=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@cache  # once a job
def _warn(line: str) -> None:
    print(f"paper_repro: warning: {line}", file=sys.stderr)
