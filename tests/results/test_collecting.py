"""Collecting: nothing is lost, nothing is invented, and equal runs give equal bytes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paper_repro import record
from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results.collect import collect, concatenate, merge, thin
from paper_repro.results.files import COLUMNS, NAMES, read_tables
from paper_repro.rows import Row
from tests.results.made_runs import cell, collected, made_run, write_run


def rows(value=1.0, curve=3):
    return [
        Row("nll", value, "nats/image", "test", at="samples=50"),
        Row("variance", value, "nats^2", estimator="path"),
        *[Row("elbo", -i, "nats/image", "train", step=i, kind="curve") for i in range(curve)],
    ]


def rewrite(folder, **changed):
    found = record.read(folder)
    record.write(folder, {**found.record, **changed}, found.files)


def read(root, table):
    return pd.read_csv(root / NAMES[table], keep_default_na=False, dtype=str)


def test_columns_stand_in_the_documented_order(tmp_path):
    one = cell(dataset="mnist", estimator="total")
    for seed in one.seeds:
        write_run(tmp_path / "runs", one, seed, rows())
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    metrics = read(tmp_path / "out", "metrics")
    assert ",".join(metrics.columns) == (
        "study,experiment,cell,dataset,model,estimator,objective,seed,split,step,metric,value,unit,"
        "status,run_id,at,tier,device,steps,torch,fingerprint"
    )
    assert list(read(tmp_path / "out", "curves").columns) == list(metrics.columns)
    assert set(metrics["metric"]) == {"nll", "variance"}
    assert set(metrics["fingerprint"]) == {"0123456789ab"}


def test_a_rows_own_estimator_goes_before_the_cells(tmp_path):
    one = cell(estimator="total", seeds=1)
    write_run(tmp_path / "runs", one, 0, rows())
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    found = read(tmp_path / "out", "metrics").set_index("metric")["estimator"]
    assert dict(found) == {"nll": "total", "variance": "path"}


def test_numbers_pass_through_digit_by_digit(tmp_path):
    value = 0.1 + 0.2
    one = cell(seeds=1)
    write_run(tmp_path / "runs", one, 0, rows(value))
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    assert set(read(tmp_path / "out", "metrics")["value"]) == {repr(value)}


def test_made_runs_that_are_handed_over_are_those_that_are_read(tmp_path):
    """Tests of claims and figures collect the former."""
    one = cell(estimator="path", lr=0.3, seeds=3)
    pictures = {"pictures": np.arange(6.0)}
    runs = [
        (one, 0, made_run(one, 0, rows(), arrays=pictures)),
        (one, 1, made_run(one, 1, (), "diverged")),
    ]
    handed = collected(tmp_path / "handed", [one], runs, "paper")
    write_run(tmp_path / "read", one, 0, rows(), arrays=pictures)
    write_run(tmp_path / "read", one, 1, (), "diverged")
    collect([one], tmp_path / "read", tmp_path / "out", "paper")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > len(COLUMNS)
    for path in files:
        assert path.read_bytes() == (handed.root / path.relative_to(tmp_path / "out")).read_bytes()


def test_missing_and_stale_and_diverged_runs_are_visible(tmp_path):
    one = cell(estimator="path", seeds=3)
    other = cell(estimator="path", lr=0.5, seeds=3, name=one.id)
    write_run(tmp_path / "runs", one, 0, rows())
    write_run(tmp_path / "runs", one, 1, rows(), status="diverged")
    stale = write_run(tmp_path / "runs", one, 2, rows())
    rewrite(stale, cell=json.loads(other.as_json()))  # trained with another learning rate
    absent = cell(estimator="total", seeds=2)
    collect([one, absent], tmp_path / "runs", tmp_path / "out", "paper")
    runs = read(tmp_path / "out", "runs")
    assert list(runs["status"]) == ["ok", "diverged", "missing", "missing", "missing"]
    metrics = read(tmp_path / "out", "metrics")
    assert list(metrics.groupby("cell")["status"].agg(lambda s: sum(s == "missing"))) == [1, 2]
    missing = metrics[metrics["status"] == "missing"]
    assert set(missing["value"]) == {""}
    assert set(missing["estimator"]) == {"path", "total"}
    assert "diverged" in set(metrics["status"])
    assert list(read(tmp_path / "out", "costs")["runs"]) == ["2", "0"]


def test_equal_runs_give_equal_bytes_in_whatever_order(tmp_path):
    cells = [cell(dataset="mnist", estimator=e, seeds=2, steps=300) for e in ("total", "path")]
    for one in cells:
        for seed in one.seeds:
            write_run(tmp_path / "runs", one, seed, rows(curve=300), arrays={"x": np.arange(3)})
    collect(cells, tmp_path / "runs", tmp_path / "a", "paper")
    collect(cells[::-1], tmp_path / "runs", tmp_path / "b", "paper")
    names = [*NAMES.values(), f"arrays/made/{cells[0].id}/seed1.npz"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    packed = (tmp_path / "a" / NAMES["curves"]).read_bytes()
    assert packed[4:8] == b"\0\0\0\0"  # no time stamp
    assert len(gzip.decompress(packed).splitlines()) == 1 + 4 * 200


@pytest.mark.parametrize("n", [1, 199, 200, 201, 399, 5000])
def test_thinning_keeps_both_ends_and_at_most_200_points(n):
    points = [(str(i),) for i in range(n)]
    kept = [int(p[0]) for p in thin(points)]
    assert kept[0] == 0
    assert kept[-1] == n - 1
    assert len(kept) == min(n, 200)
    assert kept == sorted(set(kept))
    if n > 400:
        steps = np.diff(kept)
        assert steps.max() - steps.min() <= 1


def test_costs_add_up_per_cell_and_device(tmp_path):
    one = cell(seeds=3, steps=100)
    for seed in (0, 1):
        write_run(tmp_path / "runs", one, seed, rows())
    write_run(tmp_path / "runs", one, 2, rows(), device="cuda", device_name="a gpu")
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    costs = read(tmp_path / "out", "costs").set_index("device_name")
    assert dict(costs["runs"]) == {"a cpu": "2", "a gpu": "1"}
    assert dict(costs["seconds"]) == {"a cpu": "5", "a gpu": "2.5"}
    assert dict(costs["peak_memory_mib"]) == {"a cpu": "101", "a gpu": "102"}
    assert dict(costs["flops"]) == {"a cpu": "2000", "a gpu": "1000"}


def test_arrays_of_cells_no_longer_in_the_grid_do_not_stay(tmp_path):
    old, new = cell(estimator="old", seeds=1), cell(estimator="new", seeds=1)
    for one in (old, new):
        write_run(tmp_path / "runs", one, 0, rows(), arrays={"x": np.zeros(2)})
    collect([old], tmp_path / "runs", tmp_path / "out", "paper")
    collect([new], tmp_path / "runs", tmp_path / "out", "paper")
    found = [p.parent.name for p in (tmp_path / "out" / "arrays").rglob("*.npz")]
    assert found == [new.id]
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("place", ["made/fit/seed1", "made/fit-1/seed0", "other/fit/seed0"])
def test_a_run_in_the_folder_of_another_is_named(tmp_path, place):
    root = tmp_path / "runs"
    write_run(root, cell(seeds=1), 0, rows())
    asked = [cell(seeds=2), cell(k=1, seeds=1), cell(study="other", seeds=1)]
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / "made/fit/seed0").rename(root / place)
    with pytest.raises(UserError) as caught:
        collect(asked, root, tmp_path / "out", "paper")
    line = f"{root / place}: its run.json is of made/fit/seed0; rename or remove the folder "
    assert str(caught.value).startswith(line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["run.json", "metrics.csv", "arrays.npz"])
def test_a_damaged_run_is_named_and_nothing_is_collected(tmp_path, name):
    one = cell(seeds=1)
    folder = write_run(tmp_path / "runs", one, 0, rows(), arrays={"x": np.arange(3)})
    content = (folder / name).read_bytes()
    for damaged in (b"", content[: len(content) // 2], content[:-9] + bytes(9), content * 2):
        (folder / name).write_bytes(damaged)
        with pytest.raises(UserError, match=f"seed0/{name} is damaged") as caught:
            collect([one], tmp_path / "runs", tmp_path / "out", "paper")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()


def test_cells_of_another_tier_are_refused(tmp_path):
    with pytest.raises(UserError, match="of tier 'paper', not 'quick'"):
        collect([cell()], tmp_path / "runs", tmp_path / "out", "quick")


def test_merging_studies_keeps_every_row_and_array(tmp_path):
    roots = []
    for study in ("first", "second"):
        one = cell(study=study, seeds=1)
        write_run(tmp_path / "runs", one, 0, rows(), arrays={"x": np.zeros(2)})
        roots.append(tmp_path / study)
        collect([one], tmp_path / "runs", roots[-1], "paper")
    merge(roots, tmp_path / "all")
    merged = read_tables(tmp_path / "all")
    for table in COLUMNS:
        assert merged[table] == [row for root in roots for row in read_tables(root)[table]]
    assert len(list((tmp_path / "all" / "arrays").rglob("*.npz"))) == 2


def test_only_files_with_equal_columns_are_joined(tmp_path):
    for name, text in {"a": "x,y\n1,2\n", "b": "x,y\n3,4\n", "c": "x\n5\n"}.items():
        (tmp_path / name).write_text(text)
    concatenate([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "x,y\n1,2\n3,4\n"
    with pytest.raises(UserError, match="columns differ"):
        concatenate([tmp_path / "a", tmp_path / "c"], tmp_path / "out")


def test_one_file_is_not_joined_to_itself(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x,y\n1,2\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="named twice"):
        concatenate([tmp_path / "a", Path("a")], tmp_path / "out")


def test_a_folder_that_holds_no_run_of_the_study_is_refused(tmp_path, capsys):
    """results/<tier> in the place of results/<tier>/runs made every run missing."""
    (tmp_path / "runs/conformance").mkdir(parents=True)
    given = ["--tier", "smoke", "--study", "conformance", "--out", str(tmp_path / "out")]
    assert main(["collect", *given, "--runs", str(tmp_path)]) == 2
    assert f"{tmp_path} has no folder conformance" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["collect", *given, "--runs", str(tmp_path / "runs")]) == 0
