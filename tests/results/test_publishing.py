"""Merging machines: the higher tier wins a cell whole, equal tiers join, nothing vanishes."""

from __future__ import annotations

import zipfile

import numpy as np
import pandas as pd
import pytest

from paper_repro.errors import UserError
from paper_repro.results.archive import pack
from paper_repro.results.collect import collect
from paper_repro.results.files import NAMES, read_tables
from paper_repro.results.frames import load
from paper_repro.results.published import import_results
from paper_repro.rows import Row
from tests.results.made_runs import cell, write_run

STUDY, EXPERIMENT, TASK = "taming_vaes", "sweep", "vae"  # rows of others are not imported
HOME = f"studies/{STUDY}"  # below a folder of published rows


def machine(
    root,
    tier,
    seeds,
    planned=None,
    value=1.0,
    name="c",
    arrays=True,
    params=None,
    study=STUDY,
    experiment=EXPERIMENT,
    **changed,
):
    """A results folder with one cell `name`, whose runs `seeds` are there."""
    one = cell(
        experiment,
        name,
        study=study,
        task=TASK,
        tier=tier,
        seeds=planned or len(seeds),
        **(params or {"steps": len(tier), "of": name}),
    )
    for seed in seeds:
        rows = [
            Row("nll", value + seed, "nats/image"),
            Row("elbo", value, "nats/image", step=1, kind="curve"),
        ]
        saved = {"x": np.full(2, value)} if arrays else None
        write_run(root / "runs", one, seed, rows, arrays=saved, **changed)
    collect([one], root / "runs", root / "out", tier)
    return root / "out"


def carry(source, published):
    """Export and import, as between two machines."""
    pack(source, source.parent / "rows.zip")
    return import_results(source.parent / "rows.zip", published)


def values(published, name="c"):
    """NLL by seed, and the tier, of a published cell."""
    frame = load(published).finals(STUDY, EXPERIMENT, "nll")
    frame = frame[frame["cell"] == name]
    return dict(zip(frame["seed"], frame["value"], strict=True)), set(frame["tier"])


def test_an_import_into_nothing_is_the_export_itself(tmp_path):
    source = machine(tmp_path / "a", "paper", (0, 1))
    report = carry(source, tmp_path / "published")
    assert report == ["taming_vaes/c: paper (2 runs) added"]
    for name in NAMES.values():
        assert (tmp_path / "published" / HOME / name).read_bytes() == (source / name).read_bytes()
    assert load(tmp_path / "published").arrays(STUDY, "c", 1)["x"].tolist() == [1.0, 1.0]


def test_paper_rows_replace_all_reduced_rows_of_the_cell_and_of_no_other(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "reduced", (0, 1, 2)), published)
    carry(machine(tmp_path / "b", "reduced", (0,), name="d"), published)
    report = carry(machine(tmp_path / "c", "paper", (0, 1, 2, 3, 4), value=9.0), published)
    assert report == ["taming_vaes/c: paper (5 runs) replaces reduced (3 runs)"]
    assert values(published) == ({seed: 9.0 + seed for seed in range(5)}, {"paper"})
    assert values(published, "d") == ({0: 1.0}, {"reduced"})
    found = load(published)
    assert set(found.cells[found.cells["cell"] == "c"]["tier"]) == {"paper"}
    assert set(found.curves[found.curves["cell"] == "c"]["tier"]) == {"paper"}
    assert set(found.frame(STUDY, metric="nll").query("cell == 'c'")["steps"]) == {len("paper")}
    assert found.arrays(STUDY, "c", 0)["x"].tolist() == [9.0, 9.0]


def test_reduced_rows_never_replace_paper_rows(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (0,)), published)
    report = carry(machine(tmp_path / "b", "reduced", (0, 1, 2), value=9.0), published)
    assert report == ["taming_vaes/c: reduced (3 runs) ignored: paper (1 runs) is there"]
    assert values(published) == ({0: 1.0}, {"paper"})


def test_fewer_paper_seeds_leave_no_reduced_seed_behind(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "reduced", (0, 1, 2)), published)
    carry(machine(tmp_path / "b", "paper", (0,), planned=3, value=9.0), published)
    assert values(published) == ({0: 9.0}, {"paper"})
    assert list(load(published).runs["status"]) == ["ok", "missing", "missing"]
    assert load(published).arrays(STUDY, "c", 1) == {}


def test_a_grid_that_was_not_run_replaces_nothing(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "reduced", (0, 1)), published)
    assert carry(machine(tmp_path / "b", "paper", (), planned=3), published) == []
    assert values(published) == ({0: 1.0, 1: 2.0}, {"reduced"})


def test_missing_cells_are_published_as_missing_until_someone_runs_them(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (), planned=2), published)
    assert list(load(published).metrics["status"]) == ["missing", "missing"]
    carry(machine(tmp_path / "b", "reduced", (0,)), published)
    assert values(published) == ({0: 1.0}, {"reduced"})


def test_seeds_of_two_machines_join_within_a_tier(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (0, 1), planned=4), published)
    second = machine(tmp_path / "b", "paper", (2, 3), planned=4, device_name="another")
    assert carry(second, published) == ["taming_vaes/c: paper seeds 2 3 added"]
    assert values(published) == ({seed: 1.0 + seed for seed in range(4)}, {"paper"})
    found = load(published)
    assert list(found.runs["seed"]) == [0, 1, 2, 3]
    assert dict(zip(found.costs["device_name"], found.costs["runs"], strict=True)) == {
        "a cpu": 2,
        "another": 2,
    }
    assert carry(second, published) == []


def test_other_numbers_of_the_same_seed_are_reported_and_the_newer_import_counts(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (0, 1)), published)
    (line,) = carry(machine(tmp_path / "b", "paper", (1,), planned=2, value=9.0), published)
    assert line == "taming_vaes/c: CONFLICT: seeds 1 replaced by runs with other numbers"
    assert values(published) == ({0: 1.0, 1: 10.0}, {"paper"})


@pytest.mark.parametrize(
    ("what", "change"),
    [("settings", {"params": {"steps": 7}}), ("data", {"fingerprint": "f" * 16})],
)
def test_a_cell_of_other_settings_or_data_is_replaced_whole_and_reported(tmp_path, what, change):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (0, 1, 2)), published)
    (line,) = carry(machine(tmp_path / "b", "paper", (0,), value=9.0, **change), published)
    assert line.startswith("taming_vaes/c: CONFLICT")
    assert what in line
    assert values(published) == ({0: 9.0}, {"paper"})


@pytest.mark.parametrize("tier", ["quick", "smoke"])
def test_embedded_data_are_refused(tmp_path, tier):
    with pytest.raises(UserError, match=f"tier '{tier}' are not published"):
        carry(machine(tmp_path / "a", tier, (0,)), tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_the_order_of_imports_of_different_tiers_changes_no_byte(tmp_path):
    sources = [
        machine(tmp_path / "a", "paper", (0, 1), value=2.0),
        machine(tmp_path / "b", "reduced", (0, 1)),
        machine(tmp_path / "c", "reduced", (0,), name="d"),
    ]
    for name, order in {"x": sources, "y": sources[::-1]}.items():
        for source in order:
            carry(source, tmp_path / name)
    one, other = tmp_path / "x" / HOME, tmp_path / "y" / HOME
    assert read_tables(one) == read_tables(other)
    for name in NAMES.values():
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_exports_of_equal_rows_are_equal_bytes_and_a_folder_imports_like_a_zip(tmp_path):
    source = machine(tmp_path / "a", "paper", (0, 1))
    for name in ("one.zip", "two.zip"):
        pack(source, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    import_results(source, tmp_path / "x")
    import_results(tmp_path / "one.zip", tmp_path / "y")
    assert read_tables(tmp_path / "x" / HOME) == read_tables(tmp_path / "y" / HOME)


def test_what_is_no_export_is_refused_in_one_line(tmp_path):
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(UserError, match="no zip that export wrote"):
        import_results(tmp_path / "text.zip", tmp_path / "published")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../outside.csv", "x")
    with pytest.raises(UserError, match="does not belong in an export"):
        import_results(tmp_path / "evil.zip", tmp_path / "published")
    assert not (tmp_path.parent / "outside.csv").exists()


def test_published_rows_keep_their_provenance(tmp_path):
    carry(machine(tmp_path / "a", "paper", (0,)), tmp_path / "published")
    row = pd.read_csv(tmp_path / "published" / HOME / "metrics.csv", keep_default_na=False).iloc[0]
    assert (row["tier"], row["device"], row["steps"], row["torch"]) == ("paper", "cpu", 5, "2.11.0")


def pictures(root, seeds, *more, value=1.0):
    """A results folder whose runs saved pictures, as bytes [n, C, H, W], and `more` arrays."""
    one = cell(EXPERIMENT, "c", study=STUDY, task=TASK, tier="paper", seeds=4, steps=5)
    for seed in seeds:
        shown = np.full((2, 1, 4, 4), seed, dtype=np.uint8)
        saved = {"samples": shown, "pictures_test": shown} | dict(more)
        write_run(root / "runs", one, seed, [Row("nll", value, "nats/image")], arrays=saved)
    collect([one], root / "runs", root / "out", "paper")
    return root / "out"


def with_arrays(published):
    """The seeds whose arrays are published, with their names."""
    found = {seed: sorted(load(published).arrays(STUDY, "c", seed)) for seed in range(4)}
    return {seed: names for seed, names in found.items() if names}


def test_pictures_are_shipped_of_the_first_seed_that_has_some_alone(tmp_path):
    published = tmp_path / "published"
    carry(pictures(tmp_path / "a", (1, 2, 3)), published)
    assert with_arrays(published) == {1: ["pictures_test", "samples"]}
    assert (
        load(published).arrays(STUDY, "c", 1)["samples"].tolist() == np.ones((2, 1, 4, 4)).tolist()
    )
    assert set(load(published).runs.query("status == 'ok'")["seed"]) == {1, 2, 3}
    carry(pictures(tmp_path / "b", (0,)), published)  # an earlier seed, from another machine
    assert with_arrays(published) == {0: ["pictures_test", "samples"]}
    files = [path for path in (published / HOME / "arrays").rglob("*") if path.is_file()]
    assert len(files) == 1  # and no other left on the disk


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 1, 4, 4)),  # not bytes
        np.zeros((4, 4), dtype=np.uint8),  # bytes, but no pictures
    ],
)
def test_runs_with_other_arrays_keep_them_for_every_seed(tmp_path, array):
    source = pictures(tmp_path / "a", (0, 1, 2), ("surface", array))
    carry(source, tmp_path / "published")
    names = ["pictures_test", "samples", "surface"]
    assert with_arrays(tmp_path / "published") == {0: names, 1: names, 2: names}


def test_an_export_leaves_no_pictures_out(tmp_path):
    """What is thinned is results/published; the zip is the whole record of a machine."""
    source = pictures(tmp_path / "a", (0, 1))
    pack(source, tmp_path / "rows.zip")
    with zipfile.ZipFile(tmp_path / "rows.zip") as archive:
        assert sum(name.endswith(".npz") for name in archive.namelist()) == 2
