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
from paper_repro.analysis.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.analysis.collect import collect
from paper_repro.analysis.results import load
from paper_repro.analysis.verdicts import evaluate, load_claims
from paper_repro.cell import Cell
from paper_repro.rows import Row
from tests.analysis.infinite_gradients_rows import STUDY, cells, kind, rows
from tests.analysis.made_runs import results

FOLDER = registry.STUDIES / STUDY
MINE = {"A1", "A6", "A7", "A8", "A10", "A11"}  # those that these rows are for
CELEBA = {
    *("A1.trained_celeba", "A6.mmd", "A6.reconstruction"),
    *("A7.start", "A7.end", "A7.rising"),
}
NO_FAST_OR_LARGE = {f"A11.{what}_{n}" for what in ("error", "active") for n in (10, 100)}
NO_FAST_OR_LARGE |= {"A10.fast", "A10.closed_form"}
# Deciding checks that a tier leaves out: small sets never stand for CelebA.
LEFT_OUT = {
    "smoke": CELEBA | NO_FAST_OR_LARGE,
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
) -> pd.Series:
    """Verdicts by claim and check; `change` may alter each row, or drop it by returning None.
    `only` limits the runs to one family of experiments."""

    def made(cell: Cell, seed: int) -> list[Row] | None:
        if without(cell, seed):
            return None
        changed = (change(row, cell, seed) for row in rows(cell, seed))
        return [row for row in changed if row is not None]

    chosen = [cell for cell in cells(tier, seeds) if cell.experiment.startswith(only)]
    found = results(tmp_path, chosen, made, tier)
    stated = load_claims(FOLDER / "claims.yaml", STUDY)
    kept = [
        {**claim, "checks": [c for c in claim["checks"] if is_mine(claim, c)]}
        for claim in stated["claims"]
        if claim["id"] in claims
    ]
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({**stated, "claims": kept}))
    return evaluate(found, STUDY, tmp_path).set_index("claim")["verdict"]


def is_mine(claim: dict, check: dict) -> bool:
    """Whether a check is about the runs that differ in gamma."""
    return claim["id"] in MINE and (claim["id"] != "A1" or check["name"].startswith("trained_"))


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
    verdicts = judge(tmp_path, tier=tier)
    assert CONTRADICTED not in set(verdicts)
    deciding = {name for name, check in mine().items() if check.get("decides", True)}
    assert {name for name in deciding if verdicts[name] == NOT_RUN} == LEFT_OUT[tier]
    if tier == "paper":
        assert {name for name in deciding if verdicts[name] != SUPPORTED} == set()
        beside = {n for n, c in mine().items() if not c.get("decides", True)}
        assert {verdicts[name] for name in beside if "faces" in name} == {NOT_RUN}
        assert {verdicts[name] for name in beside if "faces" not in name} == {SUPPORTED}


def test_faces_are_judged_beside_and_decide_nothing(tmp_path):
    verdicts = judge(tmp_path, tier="quick", only="celeba", claims={"A1", "A6", "A7", "A8"})
    faces = [name for name in verdicts.index if name.endswith("_faces")]
    assert len(faces) == 7
    assert set(verdicts[faces]) == {SUPPORTED}
    assert {verdicts[claim] for claim in ("A6", "A7", "A8")} == {NOT_RUN}


def test_learned_and_fixed_runs_that_are_swapped_are_caught(tmp_path):
    """Every number of a pair is given to the other one."""
    found = {c.id: c for c in cells("paper") if kind(c) in ("learned", "fixed")}

    def swapped(cell: Cell, seed: int) -> list[Row]:
        other = cell.id.replace("learned", "#").replace("fixed", "learned").replace("#", "fixed")
        partner = found.get(other, cell)
        return list(rows(partner, seed))

    made = results(tmp_path, found.values(), swapped)
    verdicts = evaluate(made, STUDY, FOLDER).set_index("claim")["verdict"]
    for check in ("A6.mmd", "A7.start", "A7.rising", "A8.active", "A8.rank"):
        assert verdicts[check] == CONTRADICTED, check
    assert verdicts["A6.reconstruction"] == verdicts["A7.end"] == SUPPORTED  # either way


# What the rows are made to say -> family, which rows, how they change, and checks contradicted.
TURNED: dict[str, tuple] = {
    "a gamma that stops short": (
        "celeba",
        lambda r, c: r.metric == "gamma" and r.kind == "final",
        lambda v: 1.05 * v,
        {"A1.trained_celeba"},
    ),
    "reconstruction bought with MMD": (
        "celeba",
        lambda r, c: r.metric == "sse" and kind(c) == "fixed",
        lambda v: 1.1 * v,
        {"A6.reconstruction"},
    ),
    "gradients large from the start in both": (
        "celeba",
        lambda r, c: r.metric.startswith("grad") and kind(c) == "learned" and r.step < 20000,
        lambda v: 60.0 - 1e-3 * v,
        {"A7.start", "A7.rising"},
    ),
    "gradients that end apart": (
        "celeba",
        lambda r, c: r.metric == "grad_z" and kind(c) == "fixed",
        lambda v: 3 * v,
        {"A7.end"},
    ),
    "as many dimensions with gamma fixed": (
        "miniature",
        lambda r, c: r.metric in ("informative_units", "effective_rank") and kind(c) == "fixed",
        lambda v: min(v, 5),
        {"A8.active", "A8.rank"},
    ),
    "an anneal whose speed does not matter": (
        "miniature",
        lambda r, c: r.metric == "mmd" and kind(c) in ("fast", "closed"),
        lambda v: v / 3,
        {"A10.closed_form", "A10.fast"},
    ),
    "a large gamma that does no harm": (
        "miniature",
        lambda r, c: kind(c).startswith("times"),
        lambda v: 0.1 * v if v < 3 else 3 * v,
        {"A11.error_10", "A11.active_10"},
    ),
}


@pytest.mark.parametrize("what", TURNED)
def test_rows_that_say_the_opposite_contradict_a_claim(tmp_path, what):
    only, moved, turned, checks = TURNED[what]
    verdicts = judge(
        tmp_path,
        lambda r, c, s: replace(r, value=turned(r.value)) if moved(r, c) else r,
        only=only,
        claims={check.split(".")[0] for check in checks},
    )
    for check in checks:
        assert verdicts[check] == verdicts[check.split(".")[0]] == CONTRADICTED, check


def test_one_seed_of_the_miniature_with_no_more_dimensions_contradicts(tmp_path):
    def same(row, cell, seed):
        here = row.metric == "informative_units" and kind(cell) == "fixed" and seed == 2
        return replace(row, value=5.0) if here else row

    verdicts = judge(tmp_path, same, only="miniature", claims={"A8"})
    assert verdicts["A8.active"] == verdicts["A8"] == CONTRADICTED
    assert verdicts["A8.rank"] == SUPPORTED


def test_an_mmd_ratio_within_the_noise_of_seeds_decides_nothing(tmp_path):
    def noisy(row, cell, seed):
        here = row.metric == "mmd" and kind(cell) == "fixed"
        return replace(row, value=row.value * (0.1, 1.0, 2.0)[seed]) if here else row

    verdicts = judge(tmp_path, noisy, only="celeba", claims={"A6"})
    assert verdicts["A6.mmd"] == verdicts["A6"] == INCONCLUSIVE


def test_a_gradient_that_is_compared_at_its_end_alone_would_not_be_caught(tmp_path):
    """The start of a curve decides A7.start: the same rows without it say something else."""

    def late(row, cell, seed):
        early = row.metric.startswith("grad") and row.step < 0.7 * cell.params["steps"]
        return None if early else row

    assert judge(tmp_path, late, only="celeba", claims={"A7"})["A7.start"] == CONTRADICTED


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
