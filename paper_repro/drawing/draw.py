"""Draw the figures of the studies from collected rows: a function of CSVs, without torch.

A study's ``figures.py`` declares ``FIGURES``, a dict from figure id to a function that takes the
`Results` and returns a matplotlib figure whose label is its caption (`style.caption`). Equal rows
give equal bytes on one machine and equal pictures on any: ``drawn.json`` says what each figure
shows (`drawn.record`), and a figure that shows what the one already there does is not replaced.
``manifest.json`` holds the SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from paper_repro import atomic
from paper_repro.drawing import drawn, style
from paper_repro.errors import UserError
from paper_repro.registry import drawing
from paper_repro.results import overwriting
from paper_repro.results.frames import Results, load
from paper_repro.results.keeping import keep

Figures = dict[str, Callable[[Results], Figure]]  # by id
CAPTIONS = "captions.json"
DRAWN = "drawn.json"
MANIFEST = "manifest.json"
HASH = re.compile("[0-9a-f]{64}")


def figures_of(study: str) -> Figures:
    """The drawing functions of a study by figure id."""
    module = importlib.import_module(f"paper_repro.studies.{study}.figures")
    return dict(module.FIGURES)


def draw_study(study: str, root: Path, out: Path) -> list[Path]:
    """Draw one study from the rows under `root` into its folder `out` of a tier's figures:
    ``out/<id>.{pdf,png}`` (`registry.drawing`), with the captions in ``out/captions.json`` and what
    each shows in ``out/drawn.json``; returns the paths of all files. A figure that is there and
    shows the same stays, byte for byte."""
    results, files = load(root), list[Path]()
    captions: dict[str, str] = {}
    records: dict[str, drawn.Record] = {}
    before = _read_json(out / DRAWN)
    for name, function in figures_of(study).items():
        with style.settings():
            made = function(results)
            stem = out.parent / drawing(out.name, name)
            paths, records[name] = _draw(made, stem, before.get(name))
        files += paths
        captions[name] = str(made.get_label())
    _write_json(out / CAPTIONS, captions)
    lines = [f" {json.dumps(name)}: {json.dumps(record)}" for name, record in records.items()]
    atomic.write_text(out / DRAWN, "{\n" + ",\n".join(lines) + "\n}\n")
    return [*files, out / CAPTIONS, out / DRAWN]


def _draw(made: Figure, stem: Path, before: drawn.Record | None) -> tuple[list[Path], drawn.Record]:
    """Files and record of a figure: those that are there where `before`, their record, is of the
    same picture, else new ones."""
    style.lay_out(made)
    record = drawn.record(made)
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in ("pdf", "png")}
    there = before is not None and all(path.is_file() for path in paths.values())
    if before is not None and there and drawn.same(before, record):
        picture = style.as_bytes(made, "png") if before["library"] == record["library"] else None
        if picture is None or drawn.same_picture(paths["png"].read_bytes(), picture):
            keep(paths.values())
            return list(paths.values()), before
    return style.save(made, stem), record


def captions_of(folder: Path) -> dict[str, str]:
    """Captions by figure id, in the order drawn, of a folder that `draw_study` filled; empty if
    none did. UserError where the file is damaged."""
    path = folder / CAPTIONS
    if path.is_file() and not _read_json(path) and path.read_bytes().strip() != b"{}":
        raise UserError(f"{path}: damaged; draw the figures of {folder.name} again")
    return _read_json(path)


def write_manifest(figures: Path, out: Path) -> Path:
    """Write to `out` the SHA-256 of the files of every figure under `figures` by their path there;
    files that no study drew are not listed. UserError where nothing was drawn, a file is gone, or
    `out` holds something else.
    """
    overwriting.check_file(out, lambda text: manifest_of(out), "a list of figures")
    files = []
    for captions in figures.glob(f"*/{CAPTIONS}"):
        names = captions_of(captions.parent)
        stems = [drawing(captions.parent.name, name) for name in names]
        files += [figures / f"{stem}.{kind}" for stem in stems for kind in ("pdf", "png")]
    if not files:
        raise UserError(f"{figures}: no figures there; draw them first (snakemake does)")
    if gone := [path for path in sorted(files) if not path.is_file()]:
        raise UserError(f"{gone[0]}: not there, though {CAPTIONS} names it; draw the study again")
    hashes = {
        path.relative_to(figures).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }
    _write_json(out, hashes)
    return out


def manifest_of(path: Path) -> dict[str, str]:
    """The hashes of figures that `write_manifest` wrote to a file, by their paths; empty where it
    is none of that kind."""
    found = _read_json(path)
    hashes = all(isinstance(hash, str) and HASH.fullmatch(hash) for hash in found.values())
    return found if hashes else {}


def _read_json(path: Path) -> dict[str, Any]:
    """The content of a file of ours; empty where there is none or a broken one, which is then
    drawn anew."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    atomic.write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
