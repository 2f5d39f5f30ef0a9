"""What is shipped can be checked: rows carry their origin, figures follow from them."""

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from paper_repro.claims.verdicts import judge_study
from paper_repro.drawing.draw import draw_study, write_manifest
from paper_repro.drawing.tables import render_study
from paper_repro.grid import study_names
from paper_repro.results.collect import concatenate
from paper_repro.results.keeping import same_csv

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results/published"
ROWS = PUBLISHED / "studies"
STUDIES = study_names()
REAL = {"mnist", "omniglot", "cifar10", "fashion_mnist", "celeba_half_64"}
REAL |= {"celeba_half_32", "mnist_few"}  # halved; of which 64 are trained on
REAL |= {"color_mnist", "mnist_rotate"}  # MNIST, coloured and rotated by us
# What claims about toys are about; conformance times its steps on the embedded digits.
TOYS = {
    "infinite_gradients": {
        *("tanh_manifold", "tanh_manifold_clean", "tanh_manifold_noisy"),
        "curve",
    },
    "conformance": {"digits"},
}


def test_every_published_row_says_where_it_comes_from() -> None:
    for path in (*ROWS.glob("*/metrics.csv"), *ROWS.glob("*/curves.csv.gz")):
        rows = pd.read_csv(path, keep_default_na=False, dtype=str)
        rows = rows[rows["status"] != "missing"]  # planned, and said to be not run
        assert set(rows["tier"]) <= {"reduced", "paper"}
        assert (rows[["unit", "status", "device", "steps", "torch", "run_id"]] != "").all().all()
        real = rows[rows["dataset"] != ""]
        for study, own in real.groupby("study"):
            assert set(own["dataset"]) <= REAL | TOYS.get(str(study), set())
        timed = real["experiment"] == "overhead"  # its first rows measure time and name no data
        assert (real.loc[~timed, "fingerprint"].str.len() == 12).all()


def test_every_published_run_comes_from_a_clean_commit() -> None:
    tables = [pd.read_csv(p, keep_default_na=False, dtype=str) for p in ROWS.glob("*/runs.csv")]
    runs = pd.concat(tables)
    assert set(runs["study"]) == set(STUDIES)
    runs = runs[runs["status"] != "missing"]
    assert runs["commit"].str.fullmatch(r"[0-9a-f]{40}").all()


def test_the_manifest_holds_the_hash_of_every_shipped_figure() -> None:
    folder = ROOT / "figures/published"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shipped = {str(p.relative_to(folder)) for p in folder.rglob("*.p*") if p.is_file()}
    assert shipped == {name for name in manifest if not name.endswith(".json")}
    for name, digest in manifest.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_published_results_stay_small() -> None:
    size = sum(p.stat().st_size for p in PUBLISHED.rglob("*") if p.is_file())
    assert size < 40e6


def test_the_shipped_verdicts_follow_from_the_shipped_rows(tmp_path: Path) -> None:
    """Texts and verdicts exactly, numbers but for their last digit."""
    for study in STUDIES:
        judge_study(study, ROWS / study, tmp_path / f"{study}.csv")
    concatenate([tmp_path / f"{study}.csv" for study in STUDIES], tmp_path / "claims.csv")
    again, shipped = (folder / "claims.csv" for folder in (tmp_path, PUBLISHED))
    assert same_csv(shipped.read_text(encoding="utf-8"), again.read_text(encoding="utf-8"))


@pytest.mark.parametrize("study", STUDIES)
def test_the_shipped_tables_follow_from_the_shipped_rows(study: str, tmp_path: Path) -> None:
    copy = tmp_path / "tables"
    shutil.copytree(PUBLISHED / "tables", copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    render_study(study, ROWS / study, copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


@pytest.mark.parametrize("study", STUDIES)
def test_the_shipped_figures_follow_from_the_shipped_rows(study: str, tmp_path: Path) -> None:
    """On any machine and with any version of matplotlib allowed: drawn where the shipped ones lie,
    every figure shows what is there, and no file changes."""
    copy = tmp_path / "published"
    shutil.copytree(ROOT / "figures/published", copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    draw_study(study, ROWS / study, copy / study)
    write_manifest(copy, copy / "manifest.json")
    changed = [
        str(path.relative_to(copy)) for path, raw in before.items() if path.read_bytes() != raw
    ]
    assert not changed
    assert {path for path in copy.rglob("*") if path.is_file()} == before.keys()
