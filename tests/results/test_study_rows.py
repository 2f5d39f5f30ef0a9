"""Rows of a study as figures and tables read them: ended runs alone, first seeds, pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paper_repro.data.names import shown
from paper_repro.drawing.study_rows import Setting, StudyRows, paired, reported_numbers, settings
from paper_repro.results.collect import collect
from paper_repro.results.frames import load
from paper_repro.rows import Row
from tests.results.made_runs import cell, write_run


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two experiments of three seeds; the second seed of the first diverged, the third has more
    arrays than the first."""
    root = tmp_path_factory.mktemp("rows")
    cells = [cell("one", "one", study="made"), cell("two", "two", study="made")]
    for one in cells:
        for seed in one.seeds:
            status = "diverged" if (one.id, seed) == ("one", 1) else "ok"
            made = [
                Row("kl", 10.0 + seed, "nats", "train", step=50, kind="curve"),
                Row("kl", 5.0 + seed, "nats", "train"),
                Row("kl", 7.0 + seed, "nats", "test"),
            ]
            arrays = {"path": np.full(2, seed)}
            if seed == 2:
                arrays["pictures"] = np.full((4, 1, 2, 2), 9, dtype=np.uint8)
            saved = arrays if status == "ok" else None
            write_run(root / "runs", one, seed, made if status == "ok" else (), status, saved)
    collect(cells, root / "runs", root / "out", "paper")
    return StudyRows(load(root / "out"), "made")


def test_finals_and_curves_are_of_runs_that_ended_well(study):
    finals = study.finals("one", "two", metric="kl", split="test")
    assert sorted(finals["value"]) == [7, 7, 8, 9, 9]
    curves = study.curves("one", "two", metric="kl")
    assert sorted(curves["value"]) == [10, 10, 11, 12, 12]
    found, lost = study.with_lost("one")
    assert set(found["seed"]) == {0, 2}
    assert lost[["cell", "seed", "status"]].to_numpy().tolist() == [["one", 1, "diverged"]]


def test_arrays_and_pictures_are_those_of_the_first_seed_that_saved_them(study):
    rows = study.finals("one", metric="kl")
    assert list(study.arrays(rows)["path"]) == [0, 0]
    assert study.pictures(rows, "pictures", 3).shape == (3, 1, 2, 2)
    assert study.pictures(rows, "samples").shape == (0, 1, 1, 1)
    assert study.arrays(rows.iloc[:0]) == {}


def test_runs_without_a_partner_are_no_pair(study):
    one, two = (study.finals(name, metric="kl", split="test") for name in ("one", "two"))
    two = two.assign(value=two["value"].where(two["seed"] > 0))
    mine, theirs = paired(one, two)
    assert (mine.to_list(), theirs.to_list()) == ([9], [9])


def test_settings_stand_in_the_order_given_and_others_behind():
    pairs = [("digits", "B"), ("mnist", "B"), ("faces", "A"), ("mnist", "A"), ("mnist", "A")]
    frame = pd.DataFrame(pairs, columns=["dataset", "shown_model"])
    found = settings(frame, frame.iloc[:0], datasets=("mnist", "digits"), models=("B", "A"))
    assert found == [
        *(Setting("mnist", "B"), Setting("digits", "B"), Setting("mnist", "A")),
        Setting("faces", "A"),
    ]
    assert str(found[0]) == "MNIST, B"
    assert str(Setting("tanh_manifold", "mlp")) == "manifold, noise 0.1"


def test_data_sets_have_names_for_readers():
    assert (shown("cifar10"), shown("digits"), shown("new_set")) == (
        "CIFAR-10",
        "digits",
        "new set",
    )


def test_reported_numbers_say_who_reports_them():
    found = reported_numbers("sticking_the_landing", by="burda2016", metric="nll")
    assert len(found)
    assert found["id"].str.startswith("burda2016-").all()
