"""Draw the figures of the studies from collected rows: a function of CSVs, without torch.

A study's ``figures.py`` declares ``FIGURES``, a dict from figure id to a function that takes the
`Results` and returns a matplotlib figure whose label is its caption (`style.caption`). Equal rows
give equal bytes; ``manifest.json`` holds the SHA-256 of every file, so that a redraw elsewhere can
be compared without looking.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from paper_repro import atomic
from paper_repro.analysis import style
from paper_repro.analysis.results import Results, load
from paper_repro.registry import drawing

CAPTIONS = "captions.json"


def figures_of(study: str) -> dict[str, Callable[[Results], Figure]]:
    """The drawing functions of a study by figure id."""
    module = importlib.import_module(f"paper_repro.studies.{study}.figures")
    return dict(module.FIGURES)


def draw_study(study: str, root: Path, out: Path) -> list[Path]:
    """Draw one study from the rows under `root` into its folder `out` of a tier's figures:
    ``out/<id>.{pdf,png}`` (`registry.drawing`), with the captions in ``out/captions.json``; returns
    the paths of all files written."""
    results, written, captions = load(root), [], {}
    for name, function in figures_of(study).items():
        with style.settings():
            made = function(results)
            written += style.save(made, out.parent / study if name == study else out / name)
        captions[name] = str(made.get_label())
    _write_json(out / CAPTIONS, captions)
    return [*written, out / CAPTIONS]


def captions_of(folder: Path) -> dict[str, str]:
    """Captions by figure id, in the order drawn, of a folder that `draw_study` filled; empty if
    none did."""
    path = folder / CAPTIONS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write_manifest(figures: Path, out: Path) -> Path:
    """Write to `out` the SHA-256 of the files of every figure under `figures` by their path there;
    files that no study drew are not listed."""
    files = []
    for captions in figures.glob(f"*/{CAPTIONS}"):
        names = captions_of(captions.parent)
        stems = [drawing(captions.parent.name, name) for name in names]
        files += [figures / f"{stem}.{kind}" for stem in stems for kind in ("pdf", "png")]
    hashes = {
        path.relative_to(figures).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }
    _write_json(out, hashes)
    return out


def _write_json(path: Path, content: dict[str, str]) -> None:
    atomic.write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
