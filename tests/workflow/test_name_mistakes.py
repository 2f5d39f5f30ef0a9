"""Names become folders, rules and words of a shell: one pattern for them, whoever gives them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from paper_repro import grid, naming, registry
from paper_repro.errors import UserError, nearest, unknown
from tests.workflow.grids import VAE

BAD = [
    *("a b", "it's", "a/b", "..", ".", "-rf", "a;touch PWNED", "$(id)", "naïve", "2fast", ""),
    *("a\nb", "a.b", "a-b", "x" * 61, "a*", "a\\b", "~", "a:b", '"a"', "A%20"),
]
EXPERIMENT = {"task": "vae", "title": "t", "seeds": 1, "params": VAE}


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder of studies."""
    monkeypatch.setattr(registry, "STUDIES", tmp_path)
    for known in (grid._grid, registry._files):
        known.cache_clear()
    yield tmp_path
    for known in (grid._grid, registry._files):
        known.cache_clear()


def write(folder: Path, experiments: Any, **changes: Any) -> None:
    folder.mkdir(exist_ok=True)
    whole = {"study": folder.name, "title": "t", "experiments": experiments} | changes
    (folder / "grid.yaml").write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")


def refused(study: str = "own") -> str:
    with pytest.raises(UserError) as caught:
        grid.expand(study, "paper")
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("name", BAD)
def test_an_experiment_has_a_plain_name(studies: Path, name: str) -> None:
    write(studies / "own", {name: EXPERIMENT})
    assert "experiment: " in refused()
    assert "is no name: letters, digits and _" in refused()


@pytest.mark.parametrize("name", [2024, True, None, 1.5])
def test_a_name_that_yaml_reads_as_no_text_is_refused(studies: Path, name: object) -> None:
    write(studies / "own", {name: EXPERIMENT})
    assert "is no text; quote it if it is meant" in refused()


def test_names_that_differ_by_case_alone_are_refused(studies: Path) -> None:
    write(studies / "own", {"fit": EXPERIMENT, "Fit": EXPERIMENT})
    assert "'Fit' and 'fit' differ by case alone" in refused()


def test_a_study_has_a_plain_name(studies: Path) -> None:
    write(studies / "a study", {"fit": EXPERIMENT})
    assert "study: 'a study' is no name" in refused("a study")


@pytest.mark.parametrize("study", ["..", "own/../own", "nope", "/", ""])
def test_a_study_that_is_not_there_is_refused(studies: Path, study: str) -> None:
    write(studies / "own", {"fit": EXPERIMENT})
    assert refused(study).startswith(f"study: {study!r} is not one of own")


def test_what_editors_and_notebooks_hide_is_no_study_and_no_task(labelled: Path) -> None:
    hidden = labelled.parent / ".ipynb_checkpoints"
    write(hidden, {"fit": EXPERIMENT})
    (labelled / "tasks" / "._label.py").write_bytes(b"\x00\x05\x16\x07")
    write(labelled, {"fit": EXPERIMENT})
    assert grid.study_names() == ["own"]
    assert "label" in registry.names("tasks", "own")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (b'"""A task."""\n\nPARAMS = {"a": }\n', ":3: "),
        (b'"""A task."""\nPARAMS = {\n', ":2: "),
        (b"PARAMS = {}\n\x00", ":"),
        (b'PARAMS = {}\nNAME = "\xff"\n', ":"),
    ],
)
def test_a_component_that_is_no_python_is_refused_in_one_line(
    labelled: Path, source: bytes, fault: str
) -> None:
    path = labelled / "tasks" / "broken.py"
    path.write_bytes(source)
    write(labelled, {"fit": {"task": "broken", "title": "t", "seeds": 1}})
    assert refused().startswith(f"{path}{fault}")


@pytest.fixture
def labelled(studies: Path) -> Path:
    """A study with a task whose one parameter is any text."""
    (studies / "own" / "tasks").mkdir(parents=True)
    task = 'PARAMS = {"label": {"type": "string"}}\n'
    (studies / "own" / "tasks" / "label.py").write_text(task)
    return studies / "own"


def labels(folder: Path, *values: str) -> None:
    experiment = {"task": "label", "title": "t", "seeds": 1, "axes": {"label": list(values)}}
    write(folder, {"fit": experiment})


@pytest.mark.parametrize("value", ["a b", "../x", "it's", "a;b", "ü", "a\nb", "`id`", "a:b"])
def test_a_value_that_enters_a_name_is_plain_too(labelled: Path, value: str) -> None:
    labels(labelled, value)
    assert "the values of its axes are its name, in which" in refused()


def test_values_that_differ_by_case_alone_are_refused(labelled: Path) -> None:
    labels(labelled, "adam", "Adam")
    assert "cells: 'fit-adam' and 'fit-Adam' differ by case alone" in refused()


def test_a_name_too_long_for_a_file_system_is_shortened(labelled: Path) -> None:
    labels(labelled, "x" * 300, "x" * 301)
    first, second = (cell.id for cell in grid.expand("own", "paper"))
    assert first != second
    assert {len(first), len(second)} == {len("fit-") + naming.HASH}


def test_an_axis_that_only_a_tier_has_is_misspelt(studies: Path) -> None:
    tiers = {"paper": {"axes": {"dimm": [3]}}}
    write(studies / "own", {"fit": {**EXPERIMENT, "axes": {"dim": [2]}, "tiers": tiers}})
    assert "fit.tiers.paper.axes: axis: 'dimm' is not one of dim; did you mean 'dim'?" in refused()


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        ({"fit": {**EXPERIMENT, "seeds": True}}, "fit.seeds: True is not a whole number"),
        ({"fit": {**EXPERIMENT, "seeds": 2.0}}, "fit.seeds: 2.0 is not a whole number; write 2"),
        ({"fit": {**EXPERIMENT, "seeds": 0}}, "fit.seeds: 0 is less than the minimum of 1"),
        ({"fit": {**EXPERIMENT, "seeds": 10**9}}, "fit.seeds: 1000000000 is greater than"),
        ({"fit": {**EXPERIMENT, "sedes": 1}}, "fit: unknown key 'sedes'"),
        ({"fit": {**EXPERIMENT, "tiers": {"quik": {}}}}, "tiers: unknown key 'quik'"),
        ({"fit": {**EXPERIMENT, "axes": {"dim": []}}}, "fit.axes.dim: [] should be non-empty"),
        ({"fit": {**EXPERIMENT, "axes": {"dim": 3}}}, "fit.axes.dim: 3 is not a list"),
        ({"fit": None}, "experiments.fit: has no value"),
        ({}, "experiments: {} should be non-empty"),
        ([], "experiments: [] is not a mapping"),
    ],
)
def test_a_wrong_key_of_a_grid_is_named(studies: Path, experiments: Any, message: str) -> None:
    write(studies / "own", experiments)
    assert f"own/grid.yaml.{'' if message[0] == 'e' else 'experiments.'}" in refused()
    assert message in refused()


def test_figures_and_tables_have_plain_names(tmp_path: Path) -> None:
    file = tmp_path / "figures.py"
    file.write_text("FIGURES = {'fig 1': None}\n")
    with pytest.raises(UserError, match=r"figures.py: FIGURES: 'fig 1' is no name"):
        registry.keys(file, "FIGURES")


def test_the_nearest_word_is_offered_whatever_its_case() -> None:
    assert nearest("MNIST", ["mnist", "digits"]) == "mnist"
    assert nearest("xyz", ["mnist"]) == ""
    line = unknown("dataset", "mnits", [f"set{i}" for i in range(50)] + ["mnist"])
    assert "mnist, ... (51 in all); did you mean 'mnist'?" in line
    assert len(line) < 200


@pytest.mark.parametrize("text", ["two\nlines", "bell\a", "\x1b[31mred", "lone \udc80"])
def test_a_refusal_is_one_printable_line_whatever_it_quotes(text: str) -> None:
    assert str(UserError(f"name: {text}")).isprintable()


@pytest.mark.parametrize("study", grid.study_names())
def test_every_shipped_name_follows_the_pattern(study: str) -> None:
    for tier in grid.TIERS:
        for cell in grid.expand(study, tier):
            assert naming.check_name(cell.experiment, "here") == cell.experiment
            assert naming.ID.fullmatch(cell.id)
            assert len(cell.id) <= naming.LONGEST_ID


def test_a_long_id_is_its_beginning_and_a_hash_of_the_whole() -> None:
    parts = ["experiment", *(f"setting{i}" for i in range(9))]
    found = naming.cell_id(parts, "here")
    assert found.startswith("experiment-setting0-setting1-")
    assert len(found) <= naming.LONGEST_ID
    assert naming.cell_id([*parts[:-1], "setting9"], "here") != found
    assert naming.cell_id(parts[:3], "here") == "experiment-setting0-setting1"
    long = naming.cell_id(["e" * 50, "f" * 50], "here")
    assert len(long) == 50 + 1 + naming.HASH
    assert long.startswith("e" * 50)
    assert len(naming.cell_id(["e" * 90], "here")) == naming.LONGEST_ID
