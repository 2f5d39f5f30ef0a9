"""A slip of the hand in reported.csv is one line with file and line, wherever it is read."""

from __future__ import annotations

import pytest

from paper_repro import registry
from paper_repro.claims import names as claim_names
from paper_repro.claims import reported
from paper_repro.errors import UserError

STUDY = "sticking_the_landing"
SHIPPED = (registry.STUDIES / STUDY / "reported.csv").read_text(encoding="utf-8")
FIRST = "mnist,1,elbo,1,total,nll,86.76,nats/image,"  # of line 2
SLIPS = {  # what becomes of line 2 (or of the header), and what the line says
    "a comma for the point": (FIRST, FIRST.replace("86.76", "86,76"), "line 2: 14 fields, not 13"),
    "a letter": (FIRST, FIRST.replace("86.76", "86.7O"), "line 2: value '86.7O' is no finite"),
    "infinity": (FIRST, FIRST.replace("86.76", "inf"), "line 2: value 'inf' is no finite number"),
    "too large": (FIRST, FIRST.replace("86.76", "1e999"), "line 2: value '1e999' is no finite"),
    "no number": (FIRST, FIRST.replace("86.76", ""), "line 2: value '' is no finite number"),
    "a metric": (FIRST, FIRST.replace("nll", "nlll"), "'nlll' is not one of"),
    "a unit": (FIRST, FIRST.replace("nats/im", "nat/im"), "line 2: unit: 'nat/image' is not"),
    "an estimator": (FIRST, FIRST.replace("total", "totl"), "line 2: estimator: 'totl' is not"),
    "a data set": (FIRST, FIRST.replace("mnist", "mnits"), "line 2: dataset: 'mnits' is not"),
    "a count": (FIRST, FIRST.replace("mnist,1", "mnist,1.5"), "line 2: layers '1.5' is no whole"),
    "an error": (FIRST, f"{FIRST}x", "line 2: error 'x' is no finite number"),
    "an endless error": (FIRST, f"{FIRST}1e999", "line 2: error '1e999' is no finite number"),
    "a negative error": (FIRST, f"{FIRST}-0.1", "line 2: error '-0.1' is negative"),
    "a study": (f"{STUDY},burda", "sticking_the_landin,burda", "line 2: study: 'sticking"),
    "another metric's unit": (
        FIRST,
        FIRST.replace("nats/image", "bits/dim"),
        "line 2: unit, as rows of nll bear it: 'bits/dim' is not one of nats/image",
    ),
    "another row's layers": (
        FIRST,
        FIRST.replace("mnist,1", "mnist,3"),
        "line 2: id 'burda2016-mnist-1-elbo-1-total' says 'elbo' where its columns say "
        "mnist-3-elbo-1-total-nll",
    ),
    "another row's data": (FIRST, FIRST.replace("mnist", "omniglot"), "says 'mnist' where its"),
    "another row's bound": (FIRST, FIRST.replace("elbo", "iwae"), "says 'elbo' where its columns"),
    "another row's k": (FIRST, FIRST.replace("o,1", "o,5"), "says '1' where its columns say"),
    "an id": (",burda2016-mnist-1-elbo-1-", ",burda2016", "line 2: id 'burda2016total' is not of"),
    "a column": ("estimator,metric", "estimater,metric", "line 1: column: 'estimater' is not one"),
    "two columns": ("error,source", "source,error", "line 1: the columns are not study,id,"),
}


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_is_named_by_its_line(tmp_path, what):
    old, new, message = SLIPS[what]
    path = tmp_path / "reported.csv"
    path.write_text(SHIPPED.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        reported.read(path, STUDY)
    assert str(caught.value).startswith(f"{path}, line ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_that_one_source_gives_twice_is_refused(tmp_path):
    line = SHIPPED.splitlines()[1]
    path = tmp_path / "reported.csv"
    for again in (line.replace("86.76", "86.77"), line.replace("1-total", "1-again")):
        path.write_text(f"{SHIPPED}{again}\n", encoding="utf-8")
        with pytest.raises(UserError, match="a number of burda2016 that stands there twice"):
            reported.read(path, STUDY)


def test_an_id_may_say_less_than_its_row_and_in_words_of_its_own(tmp_path):
    study = "infinite_gradients"
    rows = reported.read(registry.STUDIES / study / "reported.csv", study)
    assert "dai2021_text-vae-informative" in {row["id"] for row in rows}


def test_the_shipped_numbers_are_read_as_numbers():
    frame = reported.frame(registry.STUDIES / STUDY / "reported.csv", STUDY)
    assert frame["value"].dtype == float
    assert frame["k"].dtype == frame["layers"].dtype == int
    assert len(frame) == SHIPPED.count("\n") - 1


def test_the_file_is_read_before_anything_trains(tmp_path, monkeypatch):
    def refuse(path, study):
        raise UserError(f"read {path.name} of {study}")

    monkeypatch.setattr(reported, "read", refuse)
    claim_names._reported.cache_clear()
    claim_names._checked.cache_clear()
    with pytest.raises(UserError, match=r"read reported\.csv of sticking_the_landing"):
        claim_names.read(registry.STUDIES / STUDY / "claims.yaml", STUDY)
