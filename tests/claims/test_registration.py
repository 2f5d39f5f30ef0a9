"""What a claim is judged by is on record from before its runs, and prose is no part of it."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from paper_repro import cli, grid, registry
from paper_repro.claims import registration
from paper_repro.errors import UserError
from paper_repro.results.frames import load
from paper_repro.results.registrations import digest
from paper_repro.rows import Row
from paper_repro.training import run
from tests.results.made_runs import cell, collected, made_run

WORDS = {"statement": "It is less.", "source": "us", "by": "ours", "figure": "fig"}
PLAIN = {
    **WORDS,
    "id": "made-A1",
    "kind": "finding",
    "select": {"experiment": "fit", "metric": "kl", "estimator": "path"},
    "statistic": "all",
    "units": ["dataset"],
    "checks": [
        {
            "name": "less",
            "versus": {"estimator": "total"},
            "pairing": "difference",
            "rule": {"superior": "lower", "margin": 0.5},
            "why": "half a nat is seen",
        }
    ],
}
FACT = {
    **WORDS,
    "id": "made-A2",
    "kind": "fact",
    "select": {"experiment": "fit", "metric": "kl"},
    "of": 1,
    "checks": [{"name": "small", "rule": {"below": 1}}],
}
SAMPLED = {
    **WORDS,
    "id": "made-A3",
    "kind": "finding",
    "select": {"experiment": "fit", "metric": "kl"},
    "statistic": "mean",
    "checks": [{"name": "slope", "sample": "slope", "rule": {"above": 0}}],
}
SAMPLES = '''"""Samples."""

import numpy as np
import pandas as pd
from scipy import stats

DEGREE = 1
OTHER = 2


def slope(results, check):
    """The slope."""
    return _fitted(results, DEGREE)


def _fitted(results, degree: int):
    return np.polyfit(results, results, degree)


def unused(results, check):
    return pd.DataFrame(OTHER)
'''


def study(
    folder: Path, *claims: dict[str, Any], samples: str = SAMPLES, reported: str = ""
) -> Path:
    """The folder of a made study with these claims, PLAIN, FACT and SAMPLED unless given."""
    folder.mkdir(exist_ok=True, parents=True)
    text = {"study": "made", "coordinates": [], "claims": claims or (PLAIN, FACT, SAMPLED)}
    (folder / "claims.yaml").write_text(yaml.safe_dump(copy.deepcopy(text)))
    (folder / "samples.py").write_text(samples)
    if reported:
        (folder / "reported.csv").write_text(reported)
    return folder


def of(folder: Path, *claims: dict[str, Any], **given: str) -> dict[str, str]:
    return registration.hashes("made", study(folder, *claims, **given))


def but(claim: dict[str, Any], *path: str, value: Any) -> dict[str, Any]:
    """A claim with another value at a path into it or, where it starts with "check", its check."""
    changed = copy.deepcopy(claim)
    place = changed["checks"][0] if path[0] == "check" else changed
    *way, last = path[1:] if path[0] == "check" else path
    for key in way:
        place = place[key]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    "path",
    [("statement",), ("source",), ("by",), ("figure",), ("check", "why"), ("check", "name")],
    ids=".".join,
)
def test_prose_and_names_move_no_hash(tmp_path: Path, path: tuple[str, ...]) -> None:
    assert of(tmp_path, but(PLAIN, *path, value="paper")) == of(tmp_path, PLAIN)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("check", "rule", "margin"), 0.4),
        (("check", "rule", "superior"), "higher"),
        (("check", "pairing"), "log_ratio"),
        (("check", "versus", "estimator"), "score"),
        (("check", "statistic"), "mean"),
        (("check", "units"), ["dataset", "model"]),
        (("check", "decides"), False),
        (("check", "settled"), {"metric": "loss", "last": 0.1, "within": 0.1}),
        (("units",), ["model"]),
        (("statistic",), "mean"),
        (("select", "estimator"), "dreg"),
        (("select", "split"), "test"),
    ],
    ids=str,
)
def test_what_can_move_a_verdict_moves_the_hash_of_its_claim_alone(
    tmp_path: Path, path: tuple[str, ...], value: object
) -> None:
    second = {**PLAIN, "id": "made-A9"}  # keeps the study's family what it is
    before, after = (of(tmp_path, c, FACT, second) for c in (PLAIN, but(PLAIN, *path, value=value)))
    assert before["made-A1"] == before["made-A9"]
    if path[-1] == "decides":  # now the study has a claim less that rests on a finding
        assert not before.items() & after.items()
    else:
        assert {claim for claim in before if before[claim] != after[claim]} == {"made-A1"}


def test_the_size_of_the_family_moves_all_hashes_of_a_study_and_a_fact_is_not_in_it(
    tmp_path: Path,
) -> None:
    before = of(tmp_path, PLAIN, FACT)
    assert not before.items() & of(tmp_path, PLAIN, FACT, SAMPLED).items()
    another = {**FACT, "id": "made-A4"}
    assert before.items() <= of(tmp_path, PLAIN, FACT, another).items()


def test_a_default_written_out_and_a_check_of_each_by_hand_are_the_same_rules(
    tmp_path: Path,
) -> None:
    (check,) = PLAIN["checks"]
    own = {key: PLAIN[key] for key in ("kind", "select", "statistic", "units")}
    plain = {key: value for key, value in PLAIN.items() if key not in own}
    by_hand = {**plain, "checks": [{**own, **check}]}
    assert of(tmp_path, by_hand) == of(tmp_path, PLAIN)
    shape = {**PLAIN, "checks": [{**check, "each": {"kappa": [1, 0.5]}}]}
    two = [{**check, "name": f"less{n}", "select": {"kappa": k}} for n, k in enumerate((0.5, 1.0))]
    assert of(tmp_path, {**PLAIN, "checks": two}) == of(tmp_path, shape)
    assert of(tmp_path, {**PLAIN, "checks": two[:1]}) != of(tmp_path, shape)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""The slope."""', '"""Another."""'),
        ("DEGREE = 1", "DEGREE = 1  # a line"),
        ("degree: int", "degree: float"),
        ("DataFrame(OTHER)", "DataFrame()"),
        ("OTHER = 2", "OTHER = 3"),
        ("import pandas as pd", "import pandas"),
    ],
)
def test_of_the_samples_only_code_that_the_claim_reaches_is_its_own(
    tmp_path: Path, old: str, new: str
) -> None:
    assert SAMPLES.count(old) == 1
    assert of(tmp_path, samples=SAMPLES.replace(old, new)) == of(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("_fitted(results, DEGREE)", "_fitted(results, 1)"),
        ("DEGREE = 1", "DEGREE = 2"),
        ("np.polyfit(results, results, degree)", "np.polyfit(results, results, 1)"),
        ("import numpy as np", "import math as np"),
        ("OTHER = 2", "OTHER = 2\nDEGREE += 1"),
    ],
)
def test_an_edit_of_a_sample_or_of_what_it_calls_moves_the_hash_of_its_claim_alone(
    tmp_path: Path, old: str, new: str
) -> None:
    assert SAMPLES.count(old) == 1
    before, after = of(tmp_path), of(tmp_path, samples=SAMPLES.replace(old, new))
    assert {claim for claim in before if before[claim] != after[claim]} == {"made-A3"}


def test_a_sample_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no function slope"):
        of(tmp_path, SAMPLED, samples="")


def test_a_published_number_that_a_check_is_held_against_is_part_of_its_rules(
    tmp_path: Path,
) -> None:
    held = but(PLAIN, "check", "versus", value={"reported": "them2020"})
    rows = "study,id,metric,value,unit,error,source,sourced\n"
    rows += "made,them2020-a,kl,{},nats,,{},yes\nmade,us2021-a,kl,{},nats,,,yes\n"
    before = of(tmp_path, held, reported=rows.format(1.5, "a table", 2))
    assert before == of(tmp_path, held, reported=rows.format(1.5, "another", 3))
    assert before != of(tmp_path, held, reported=rows.format(1.6, "a table", 2))


def test_new_rules_of_the_engine_move_every_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(tmp_path / "a")
    monkeypatch.setattr(registration, "RULES_VERSION", registration.RULES_VERSION + 1)
    assert not before.items() & of(tmp_path / "b").items()


def test_no_code_of_claims_is_part_of_what_a_run_is_known_by() -> None:
    room = registry.PACKAGE / "claims"
    for name in grid.study_names():
        for one in grid.expand(name, "smoke"):
            found = grid.sources(one)
            assert not [path for path in found if room in path.parents or path.stem == "samples"]


def test_all_studies_are_registered_and_one_that_is_being_edited_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = registration.of_all_studies()
    assert set(shipped) == set(grid.folders())
    assert all(shipped[name] == registration.hashes(name) != {} for name in shipped)
    for name in shipped:  # a user's own folder of studies
        shutil.copytree(registry.STUDIES / name, tmp_path / name)
    monkeypatch.setattr(registry, "STUDIES", tmp_path)
    study(tmp_path / "made")
    shutil.copy(tmp_path / "conformance/grid.yaml", tmp_path / "made/grid.yaml")
    whole = registration.of_all_studies()
    assert whole.items() >= shipped.items()
    assert set(whole["made"]) == {"made-A1", "made-A2", "made-A3"}
    (tmp_path / "made/claims.yaml").write_text("claims: [\n")
    assert registration.of_all_studies() == shipped
    assert "does not record the claims of made" in capsys.readouterr().err


def test_a_claim_stood_before_its_runs_only_if_all_of_them_carry_its_present_hash(
    tmp_path: Path,
) -> None:
    folder = study(tmp_path / "made", PLAIN)
    present = {"made": registration.hashes("made", folder)}
    other = {"made": {"made-A1": "0" * 64}}
    without: dict[str, dict[str, str]] = {"made": {"made-A2": "0" * 64}}  # no such claim then
    elsewhere = {"theirs": {"made-A1": present["made"]["made-A1"]}}
    registered = [present, present, other, {}, without, elsewhere]
    one = cell("fit", "c", seeds=len(registered) + 1)
    rows = [Row("kl", 1.0, "nats")]
    runs = [
        (one, seed, made_run(one, seed, rows, **({"registered": carried} if carried else {})))
        for seed, carried in enumerate(registered)
    ]
    found = collected(tmp_path, [one], runs, one.tier)
    assert list(found.runs["registered"]) == [*map(digest, registered), ""]
    never = len(registered)

    def standing(*seeds: int) -> str:
        runs = [("c", seed) for seed in seeds]
        return registration.standing(found, "made", "made-A1", runs, folder)

    assert standing(0, 1) == "before"
    assert standing(0, 2) == standing(2, 3) == standing(4) == standing(0, 4) == "after"
    assert standing(3) == standing(0, 3) == standing(0, 5) == standing(0, never) == "unknown"
    assert standing() == "unknown"
    study(folder, but(PLAIN, "check", "rule", "margin", value=1.0))
    assert standing(0, 1) == "after"
    study(folder, but(PLAIN, "statement", value="Reworded."))
    assert standing(0, 1) == "before"
    assert not load(tmp_path / "out").registrations.empty


def test_the_command_that_trains_registers_all_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(run, "train_cell", lambda *_, register, **__: asked.append(register()))
    name = grid.expand("conformance", "smoke")[0].id
    given = ["--study", "conformance", "--tier", "smoke", "--cell", name]
    assert cli.main(["train", *given, "--store", str(tmp_path)]) == 0
    assert asked == [registration.of_all_studies()]
