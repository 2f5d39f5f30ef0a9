"""Claims about learned and fixed gamma on made-up rows of the study's grid: true rows support,
turned ones contradict, and what is missing decides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row
from tests.results.infinite_gradients_rows import STUDY, cells, kind, rows
from tests.results.made_runs import results

FOLDER = registry.STUDIES / STUDY
MINE = {"A1", "A6", "A7", "A8", "A10", "A11"}  # those that these rows are for
CELEBA = {
    *("A1.trained_celeba", "A6.mmd", "A6.reconstruction"),
    *("A7.start", "A7.end", "A7.rising"),
}
NO_FAST_OR_LARGE = {f"A11.{what}_{n}" for what in ("error", "active") for n in (10, 100)}
NO_FAST_OR_LARGE |= {"A10.fast", "A10.closed_form"}
TOO_SHORT = {"A1.trained_miniature", "A8.active", "A8.rank"}
# Deciding checks that a tier leaves out: small sets never stand for CelebA.
LEFT_OUT = {
    "smoke": CELEBA | NO_FAST_OR_LARGE | TOO_SHORT,
    "quick": CELEBA,
    "reduced": set(),
    "paper": set(),
}
Change = Callable[[Row, Cell, int], Row | None]


def judge(
    tmp_path: Path,
    change: Change = lambda row, cell, seed: row,
    tier: str = "paper",
    only: str = "",
    claims: Collection[str] = MINE,
    seeds: int = 3,
    without: Callable[[Cell, int], bool] = lambda cell, seed: False,
    beside: bool = False,
) -> pd.Series:
    """Verdicts by claim and check; `change` may alter each row, or drop it by returning None.
    `only` limits the runs to one family of experiments; `beside` takes in the checks that do not
    count."""

    def made(cell: Cell, seed: int) -> list[Row] | None:
        if without(cell, seed):
            return None
        changed = (change(row, cell, seed) for row in rows(cell, seed))
        return [row for row in changed if row is not None]

    chosen = [cell for cell in cells(tier, seeds) if cell.experiment.startswith(only)]
    return verdicts_of(results(tmp_path, chosen, made, tier), tmp_path, claims, beside)


def verdicts_of(
    found: Results, tmp_path: Path, claims: Collection[str], beside: bool = False
) -> pd.Series:
    """Verdicts by claim and check of some claims, with the checks that these rows are for."""
    stated = load_claims(FOLDER / "claims.yaml", STUDY)
    kept = [
        {**claim, "checks": [c for c in claim["checks"] if is_mine(claim, c, beside)]}
        for claim in stated["claims"]
        if claim["id"] in claims
    ]
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({**stated, "claims": kept}))
    return evaluate(found, STUDY, tmp_path).set_index("claim")["verdict"]


def is_mine(claim: dict, check: dict, beside: bool = True) -> bool:
    """Whether a check is about the runs that differ in gamma (and, unless `beside`, counts)."""
    gamma = claim["id"] in MINE and (claim["id"] != "A1" or check["name"].startswith("trained_"))
    return gamma and (beside or check.get("decides", True))


def mine() -> dict[str, dict]:
    """These checks by claim and name."""
    stated = load_claims(FOLDER / "claims.yaml", STUDY)["claims"]
    return {
        f"{claim['id']}.{check['name']}": check
        for claim in stated
        for check in claim["checks"]
        if is_mine(claim, check)
    }


@pytest.mark.parametrize("tier", grid.TIERS)
def test_true_rows_support_every_check_that_finds_its_runs(tmp_path, tier):
    verdicts = judge(tmp_path, tier=tier, beside=tier in ("quick", "paper"))
    assert CONTRADICTED not in set(verdicts)
    deciding = {name for name, check in mine().items() if check.get("decides", True)}
    assert {name for name in deciding if verdicts[name] == NOT_RUN} == LEFT_OUT[tier]
    faces = [name for name in mine() if name.endswith("_faces")]
    if tier == "paper":
        assert {name for name in mine() if verdicts[name] != SUPPORTED} == set(faces)
    if tier == "quick":  # where they stand beside what is not run, and decide nothing
        assert set(verdicts[faces]) == {SUPPORTED}
        assert verdicts["A6"] == verdicts["A7"] == NOT_RUN


def test_learned_and_fixed_runs_that_are_swapped_are_caught(tmp_path):
    """Every number of a pair is given to the other one."""
    found = {c.id: c for c in cells("paper") if kind(c) in ("learned", "fixed")}

    def swapped(cell: Cell, seed: int) -> list[Row]:
        other = cell.id.replace("learned", "#").replace("fixed", "learned").replace("#", "fixed")
        partner = found.get(other, cell)
        return list(rows(partner, seed))

    verdicts = verdicts_of(results(tmp_path, found.values(), swapped), tmp_path, {"A6", "A7", "A8"})
    for check in ("A6.mmd", "A7.start", "A7.rising", "A8.active", "A8.rank"):
        assert verdicts[check] == CONTRADICTED, check
    assert verdicts["A6.reconstruction"] == verdicts["A7.end"] == SUPPORTED  # either way


# What is turned, in two sets of rows: which rows, how they change, and the checks contradicted.
Turned = tuple[Callable[[Row, Cell], bool], Callable[[float], float], set[str]]
FIRST: dict[str, Turned] = {
    "a gamma that stops short": (
        lambda r, c: r.metric == "gamma" and r.kind == "final",
        lambda v: 1.05 * v,
        {"A1.trained_celeba", "A1.trained_miniature"},
    ),
    "reconstruction bought with MMD": (
        lambda r, c: r.metric == "sse" and kind(c) == "fixed",
        lambda v: 1.1 * v,
        {"A6.reconstruction"},
    ),
    "gradients large from the start in both, and falling": (
        lambda r, c: r.metric == "grad_z" and kind(c) == "learned" and r.step < 30000,
        lambda v: 300 - v,
        {"A7.start", "A7.rising"},
    ),
    "as many dimensions with gamma fixed": (
        lambda r, c: r.metric in ("informative_units", "effective_rank") and kind(c) == "fixed",
        lambda v: min(v, 5),
        {"A8.active", "A8.rank"},
    ),
    "an anneal whose speed does not matter": (
        lambda r, c: r.metric == "mmd" and kind(c) in ("fast", "closed"),
        lambda v: v / 3,
        {"A10.closed_form", "A10.fast"},
    ),
}
SECOND: dict[str, Turned] = {
    "an MMD that is no lower": (
        lambda r, c: r.metric == "mmd" and kind(c) == "learned",
        lambda v: 4 * v,
        {"A6.mmd"},
    ),
    "gradients that end apart": (
        lambda r, c: r.metric == "grad_z" and kind(c) == "fixed",
        lambda v: 3 * v,
        {"A7.end"},
    ),
    "a large gamma that reconstructs better": (
        lambda r, c: r.metric == "sse" and kind(c).startswith("times"),
        lambda v: 0.1 * v,
        {"A11.error_10", "A11.error_100"},
    ),
    "a large gamma that keeps more dimensions": (
        lambda r, c: r.metric == "informative_units" and kind(c).startswith("times"),
        lambda v: v + 9,
        {"A11.active_10", "A11.active_100"},
    ),
}


@pytest.mark.parametrize("turned", [FIRST, SECOND], ids=["first", "second"])
def test_rows_that_say_the_opposite_contradict_a_claim(tmp_path, turned):
    def change(row: Row, cell: Cell, seed: int) -> Row:
        for moved, how, _ in turned.values():
            if moved(row, cell):
                return replace(row, value=how(row.value))
        return row

    verdicts = judge(tmp_path, change)
    for what, (_, _, checks) in turned.items():
        for check in checks:
            assert verdicts[check] == verdicts[check.split(".")[0]] == CONTRADICTED, what


def test_one_seed_without_the_effect_contradicts_or_leaves_open(tmp_path):
    """In one seed of the miniature no more dimensions; MMD ratios of CelebA all over the place."""

    def change(row, cell, seed):
        if kind(cell) != "fixed":
            return row
        if row.metric == "informative_units" and seed == 2:
            return replace(row, value=5.0)
        return replace(row, value=row.value * (0.1, 1, 2)[seed]) if row.metric == "mmd" else row

    verdicts = judge(tmp_path, change, claims={"A6", "A8"})
    assert verdicts["A8.active"] == verdicts["A8"] == CONTRADICTED
    assert verdicts["A8.rank"] == SUPPORTED
    assert verdicts["A6.mmd"] == verdicts["A6"] == INCONCLUSIVE


def test_two_seeds_decide_no_mmd_and_a_missing_one_leaves_all_open(tmp_path):
    assert judge(tmp_path / "two", seeds=2, only="celeba", claims={"A6"})["A6.mmd"] == INCONCLUSIVE
    verdicts = judge(
        tmp_path / "gone",
        only="celeba",
        claims={"A1", "A6", "A7"},
        without=lambda cell, seed: seed == 1 and kind(cell) == "learned",
    )
    assert set(verdicts[sorted(CELEBA)]) == {INCONCLUSIVE}


def test_no_claim_survives_numbers_that_are_not_numbers(tmp_path):
    verdicts = judge(tmp_path, lambda row, *_: replace(row, value=math.nan), tier="smoke")
    assert set(verdicts) == {NOT_RUN}


def test_without_rows_every_claim_is_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    assert set(evaluate(load(tmp_path / "out"), STUDY, FOLDER)["verdict"]) == {NOT_RUN}


def test_claims_name_figures_that_the_study_draws():
    known = registry.keys(FOLDER / "figures.py", "FIGURES")
    claims = load_claims(FOLDER / "claims.yaml", STUDY)["claims"]
    assert {name for claim in claims for name in claim["figure"].split()} <= set(known)
