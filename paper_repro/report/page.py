"""The report: one HTML page that opens offline, verdicts first.

Pictures stand in the page itself (base64), style too; nothing is fetched. The page carries no
build date: it says when its newest run finished, so that equal results give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pandas import DataFrame
from PIL import Image

from paper_repro import atomic, grid
from paper_repro.claims import judged, robustness
from paper_repro.drawing.draw import CAPTIONS, MANIFEST, captions_of, manifest_of
from paper_repro.errors import UserError
from paper_repro.registry import STUDIES, drawing
from paper_repro.report import content, shown
from paper_repro.results import csvfile, overwriting
from paper_repro.results.frames import Results, load
from paper_repro.schemas import read_yaml

WIDTH = 825  # pixels on the page of a figure as wide as the text column
ROBUSTNESS = "robustness.csv"


def build(root: Path, figures: Path, out: Path) -> None:
    """Write the report of the rows under `root` (results/<tier>) and of the figures under
    `figures` (figures/<tier>) to the file `out`; UserError where there are no rows, verdicts or
    figures, where rows and figures are of two tiers, where the verdicts are not those of the
    claims, and for a figure that is damaged or not as in the manifest, if there is one."""
    tiers = [path.resolve().name for path in (root, figures)]
    if tiers[0] != tiers[1] and set(tiers) <= {*grid.TIERS, "published"}:
        raise UserError(f"{root}, {figures}: rows and figures of different tiers")
    overwriting.check_file(out, lambda text: text.lower().startswith(b"<!doctype html"), "a page")
    results = load(root)
    if not (root / "claims.csv").is_file():
        raise UserError(
            f"{root / 'claims.csv'}: not there; judge the claims first (snakemake does)"
        )
    if not any(figures.glob(f"*/{CAPTIONS}")):
        raise UserError(f"{figures}: no figures there; draw them first (snakemake does)")
    verdicts = judged.read(root / "claims.csv", dict.fromkeys(results.cells["study"]))
    hashes = _hashes(figures / MANIFEST)
    names = grid.study_names()
    others = _other_rules(root / "tables" / ROBUSTNESS)
    judged_claims = verdicts[verdicts["check"] == ""].to_dict("records")
    page = _template().render(
        tier=root.name,
        summary=_summary(results, names),
        registration=shown.registration(judged_claims),
        studies=[
            _study(results, study, verdicts, others, figures / study, hashes) for study in names
        ],
        hours=content.hour_table(results),
        costs=content.cost_table(results),
        fingerprints=content.fingerprint_table(results),
        versions=content.version_table(results),
    )
    atomic.write_text(out, page)


def _other_rules(path: Path) -> DataFrame:
    """The verdicts under other rules; without rows where nobody has asked for them."""
    if not path.is_file():
        return DataFrame(columns=robustness.COLUMNS)
    head, *rows = csvfile.read(path, robustness.COLUMNS)
    return DataFrame(rows, columns=list(head), dtype=str)


def _study(
    results: Results,
    study: str,
    verdicts: DataFrame,
    others: DataFrame,
    figures: Path,
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """One study as the template wants it."""
    rows = verdicts[verdicts["study"] == study]
    found = content.claims(results, rows, others[others["study"] == study])
    captions = captions_of(figures)
    about = read_yaml(STUDIES / study / "grid.yaml")
    title = about["title"]
    readme = STUDIES / study / "README.md"
    return {
        "name": study,
        "ours": about.get("ours", False),
        "title": title.split(":")[0].split(" (")[0],
        "long_title": title,
        "claims": found,
        "tally": shown.tally(row for row in rows.to_dict("records") if not row["check"]),
        "drawn": captions.keys(),
        "figures": [_figure(figures, name, text, hashes) for name, text in captions.items()],
        "tables": _tables(results.root / "tables", study),
        "runs": content.run_table(results, study),
        "ledger": readme.read_text(encoding="utf-8") if readme.is_file() else "",
        "ledger_path": f"paper_repro/studies/{study}/README.md",
    }


def _tables(folder: Path, study: str) -> list[dict[str, Any]]:
    """The rendered tables of a study with their notes."""
    found = []
    for path in sorted([*folder.glob(f"{study}.md"), *folder.glob(f"{study}_*.md")]):
        table, notes = content.markdown_table(path)
        found.append({"id": path.stem.removeprefix(f"{study}_"), "content": table, "notes": notes})
    return found


def _hashes(manifest: Path) -> dict[str, str]:
    """What the manifest of figures lists; empty where there is none."""
    found = manifest_of(manifest)
    if manifest.is_file() and not found:
        raise UserError(f"{manifest}: damaged; list the figures again (snakemake does)")
    return found


def _figure(folder: Path, name: str, caption: str, hashes: Mapping[str, str]) -> dict[str, Any]:
    """A figure as base64 with the width it should have on the page."""
    stem = drawing(folder.name, name)
    for file in (f"{stem}.pdf", f"{stem}.png") if hashes else ():
        path = folder.parent / file
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        if found != hashes.get(file, ""):
            raise UserError(
                f"{path}: not as in {MANIFEST}; draw the figures again (snakemake does)"
            )
    path = folder.parent / f"{stem}.png"
    if not path.is_file():
        return {"id": name, "caption": caption, "image": "", "width": 0}
    raw = path.read_bytes()
    try:
        with Image.open(io.BytesIO(raw), formats=("PNG",)) as picture:
            picture.load()
            pixels = picture.width
    except Exception as error:  # Pillow raises nearly anything on files that are broken
        raise UserError(f"{path}: no whole PNG ({error}); draw it again") from None
    image = base64.b64encode(raw).decode("ascii")
    return {"id": name, "caption": caption, "image": image, "width": min(WIDTH, pixels * 3 // 4)}


def _summary(results: Results, studies: list[str]) -> str:
    """How much was run, by what, and how recently."""
    runs = results.runs
    if runs.empty:
        return "Nothing was run."
    done = int((runs["status"] == "ok").sum())
    other = runs.loc[runs["status"] != "ok", "status"].value_counts().sort_index()
    parts = [f"{done} runs finished", *(f"{n} {status}" for status, n in other.items())]
    newest = max(runs["finished"]).replace("T", " ").replace("+00:00", " UTC")
    return f"{', '.join(parts)}; the newest finished at {newest or 'an unknown time'}."


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html")
