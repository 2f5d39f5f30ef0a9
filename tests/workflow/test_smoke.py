"""The smoke tier from the first cell to the report, as `snakemake --cores` runs it."""

from __future__ import annotations

import csv
import json
import os
import re

import pandas as pd
import yaml

from paper_repro import grid
from paper_repro.workflow import cell_of, training_jobs
from tests.workflow.conftest import ROOT, Clone

SMOKE = ("--config", "tier=smoke")


def cells_per_job() -> int:
    return int(yaml.safe_load((ROOT / "config/smoke.yaml").read_text())["cells_per_job"])


def test_every_run_of_the_grid_stands_in_the_metrics(smoke: Clone) -> None:
    metrics = pd.read_csv(smoke.folder / "results/smoke/metrics.csv", keep_default_na=False)
    wanted = {
        (study, cell.id, seed)
        for study in grid.study_names()
        for cell in grid.expand(study, "smoke")
        for seed in cell.seeds
    }
    found = metrics[["study", "cell", "seed"]].drop_duplicates().itertuples(index=False, name=None)
    assert set(found) == wanted
    assert set(metrics["status"]) == {"ok"}
    assert (metrics["unit"] != "").all()
    assert (metrics["tier"] == "smoke").all()


def test_every_claim_has_a_machine_made_verdict(smoke: Clone) -> None:
    with open(smoke.folder / "results/smoke/claims.csv", encoding="utf-8") as file:
        rows = {row["claim"]: row for row in csv.DictReader(file)}
    assert {f"landing-B{i}" for i in range(1, 15)} <= set(rows)
    assert {row["verdict"] for row in rows.values()} <= {
        "supported",
        "contradicted",
        "inconclusive",
        "not run",
    }


def test_exact_claims_hold_even_at_smoke_scale(smoke: Clone) -> None:
    claims = pd.read_csv(smoke.folder / "results/smoke/claims.csv").set_index("claim")
    exact = claims.loc[["landing-B1", "landing-B8"]]
    assert set(exact["verdict"]) == {"supported"}
    assert set(exact["kind"]) == {"fact"}


def test_figures_tables_manifest_and_report_are_written(smoke: Clone) -> None:
    manifest = json.loads((smoke.folder / "figures/smoke/manifest.json").read_text())
    drawn = {p.name for p in (smoke.folder / "figures/smoke").rglob("*.png")}
    assert len(drawn) >= 9
    assert all(any(name in key for key in json.dumps(manifest).split('"')) for name in drawn)
    assert (smoke.folder / "results/smoke/tables/sticking_the_landing_table1.md").is_file()
    report = (smoke.folder / "results/smoke/report.html").read_text(encoding="utf-8")
    assert all(f"B{i}" in report for i in range(1, 15))


def test_a_second_run_has_nothing_to_do(smoke: Clone) -> None:
    assert "Nothing to be done" in smoke.snakemake("--cores", "2", *SMOKE)


def test_editing_one_estimator_trains_exactly_its_own_cells(smoke: Clone) -> None:
    file = smoke.folder / "paper_repro/estimators/exact_kl.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "\nEDITED = True\n", encoding="utf-8")
    os.utime(file, (0, 0))  # as an unpacked archive leaves it
    planned = smoke.planned(*SMOKE)
    cells = {
        (study, cell.id): cell
        for study in grid.study_names()
        for cell in grid.expand(study, "smoke")
    }
    own = {
        key
        for key, cell in cells.items()
        if any(path.name == "exact_kl.py" for path in grid.sources(cell))
    }
    jobs = [
        [cell_of(folder) for folder in folders]
        for folders in training_jobs(cells, cells_per_job(), "results/smoke/runs").values()
    ]
    marked = [job for job in jobs if own & set(job)]
    assert own
    assert len(marked) < len(jobs)
    assert planned == {id for job in marked for _, id in job}

    mixed = min((job for job in marked if set(job) - own), key=lambda job: len(own & set(job)))
    target = "results/smoke/runs/" + "/".join(mixed[0])
    output = smoke.snakemake("--cores", "2", target, *SMOKE)
    file.write_text(text, encoding="utf-8")
    again = smoke.snakemake("--cores", "2", target, *SMOKE)
    finished = re.compile(r"^(\S+) seed \d+  .*\bdone  ", re.M)
    assert set(finished.findall(output)) == {id for _, id in own & set(mixed)}
    assert not finished.findall(again)


def test_editing_a_figure_retrains_nothing(smoke: Clone) -> None:
    file = smoke.folder / "paper_repro/studies/sticking_the_landing/figures.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "\nEDITED = True\n", encoding="utf-8")
    output = smoke.snakemake("--dry-run", "--cores", "2", *SMOKE)
    file.write_text(text, encoding="utf-8")
    assert "figures_sticking_the_landing" in output
    assert "rule train" not in output


def test_deleted_results_come_back_from_the_run_store_with_the_same_bytes(smoke: Clone) -> None:
    cell = next(c for c in grid.expand("sticking_the_landing", "smoke") if c.params["steps"])
    target = f"results/smoke/runs/sticking_the_landing/{cell.id}"
    path = smoke.folder / target / "seed0/metrics.csv"
    before = path.read_bytes()
    path.unlink()
    output = smoke.snakemake("--cores", "2", "--force", target, *SMOKE)
    assert path.read_bytes() == before
    assert "steps/s" not in output
