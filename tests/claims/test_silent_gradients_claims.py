"""The study's claims on made-up rows of its own grid: true rows support, turned ones contradict.

The cells are the grid's, so a selection that misses them shows as "not run".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims import selection
from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.tuning import chosen
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row
from tests.results.made_runs import results
from tests.studies.silent_gradients.silent_runs import (
    GAIN,
    RELAXED,
    STUDY,
    noise,
    rows,
)

FOLDER = registry.STUDIES / STUDY
PAPER_CLAIMS = {f"C{i}" for i in range(1, 12)}
# Checks that a tier leaves out. Small sets never stand for those of the paper, fewer draws do not
# measure variances, and the ceiling is compared at the learning rate and variance of MNIST.
BASES, DATA = ("reparam", "gumbel_st", "reinforce"), ("mnist", "cifar10", "imagenet")
NINE = {f"C8.{base}_{data}" for base in BASES for data in DATA}
SMALL = {*NINE, "C1.theory", "C4.silent_below", "C4.reparam_below", "C4.closes"}
FEW_METHODS = {"C6.gumbel", "C7.gumbel", "C9.bernoulli", "C10.fixed_gumbel"}
LEFT_OUT = {
    "smoke": SMALL | FEW_METHODS,
    "quick": SMALL,
    "reduced": {name for name in NINE if name.endswith("imagenet")},
    "paper": set(),
}
Change = Callable[[Row, Cell, int], Row | None]


def replace(row: Row, **values: object) -> Row:
    return Row(**{**vars(row), **values})  # type: ignore[arg-type]


def judge(
    tmp_path: Path,
    change: Change = lambda row, cell, seed: row,
    tier: str = "paper",
    only: Collection[str] = (),
    claims: Collection[str] = (),
) -> pd.Series:
    """Verdicts by claim; `change` may alter each row, or drop it by returning None. `only` and
    `claims` limit experiments and claims to those named."""
    cells = grid.expand(STUDY, tier, max_seeds=3)
    cells = [cell for cell in cells if not only or cell.experiment in only]

    def changed(cell: Cell, seed: int) -> list[Row]:
        kept = (change(row, cell, seed) for row in rows(cell, seed))
        return [row for row in kept if row is not None]

    return verdicts_of(results(tmp_path, cells, changed, tier), tmp_path, claims)


def verdicts_of(found: Results, tmp_path: Path, claims: Collection[str] = ()) -> pd.Series:
    """Verdicts on these results, by claim; of some claims alone, if they are named."""
    stated = load_claims(FOLDER / "claims.yaml", STUDY)
    chosen_ones = [c for c in stated["claims"] if not claims or c["id"] in claims]
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({**stated, "claims": chosen_ones}))
    return evaluate(found, STUDY, tmp_path).set_index("claim")["verdict"]


@pytest.fixture(autouse=True, scope="module")
def choices_are_remembered():
    """Dozens of checks ask for the same choice of learning rates; it is made once per results."""
    made: dict[tuple[str, ...], pd.DataFrame] = {}

    def remembered(found: Results, *where: str, **how: Any) -> pd.DataFrame:
        key = (str(found.root), *where, repr(how))
        if key not in made:
            made[key] = chosen(found, *where, **how)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "chosen", remembered)
        yield


@pytest.fixture(scope="module")
def true_verdicts(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("true"))


def test_rows_as_claimed_support_every_claim_that_was_run(true_verdicts):
    left_out = true_verdicts.index[true_verdicts == NOT_RUN]
    embedded = {f"C8.{base}_embedded" for base in BASES}
    assert set(left_out) == embedded
    others = true_verdicts.drop(left_out)
    assert set(others) == {SUPPORTED}, others[others != SUPPORTED]
    assert set(true_verdicts.index) >= PAPER_CLAIMS


def test_the_nine_cells_of_consistently_improves_are_nine_verdicts(true_verdicts):
    assert {name for name in deciding_checks() if name.startswith("C8.")} == NINE
    assert set(true_verdicts[list(NINE)]) == {SUPPORTED}


def deciding_checks() -> set[str]:
    return {
        f"{claim['id']}.{check['name']}"
        for claim in load_claims(FOLDER / "claims.yaml", STUDY)["claims"]
        for check in claim["checks"]
        if check.get("decides", True)
    }


def is_silent(cell: Cell) -> bool:
    return cell.params["estimator"] == "silent"


def is_annealed(cell: Cell) -> bool:
    return isinstance(cell.params.get("estimator_options", {}).get("alpha"), dict)


def is_silent_only(cell: Cell) -> bool:
    return cell.params.get("estimator_options", {}).get("alpha") == 1


def silent_elbo(row: Row, cell: Cell) -> bool:
    return row.metric == "elbo" and is_silent(cell)


# What is turned: experiments, rows and their new value; and the checks that must notice.
Turn = tuple[set[str], Callable[[Row, Cell], bool], Callable[[float], float], set[str]]
TURNED: dict[str, Turn] = {
    "a silent gradient that varies": (
        {"exactness"},
        lambda r, c: r.metric == "repeat_identical" and r.estimator == "silent",
        lambda v: 0.0,
        {"C1.silent"},
    ),
    "variances that are not those of theory": (
        {"exactness"},
        lambda r, c: r.metric == "variance_ratio",
        lambda v: 1.2 * v,
        {"C1.theory"},
    ),
    "a biased baseline": (
        {"exactness"},
        lambda r, c: r.metric in ("bias_z_max", "unbiased_slope") and r.estimator == "rloo",
        lambda v: 30.0,
        {"C2.unbiased", "C2.root_of_draws"},
    ),
    "relaxations without bias": (
        {"exactness"},
        lambda r, c: r.metric == "bias_z_max" and r.estimator in RELAXED,
        lambda v: 2.0,
        {"C2.relaxations"},
    ),
    "a wrong closed form": (
        {"exactness"},
        lambda r, c: r.metric.startswith("closed_form"),
        lambda v: 1e-6,
        {"C3.value", "C3.gradient"},
    ),
    "a silent gradient that trains badly": (
        {"fixed_variance"},
        silent_elbo,
        lambda v: v - 40,
        {
            *("C5.epoch_1", "C5.epoch_5", "C5.epoch_20", "C5.epoch_100"),
            *("C6.gumbel", "C6.gumbel_st", "C6.reinforce"),
            *("C7.reparam", "C7.gumbel", "C7.gumbel_st", "C7.reinforce"),
        },
    ),
    "annealing that harms": (
        {"learned_variance"},
        lambda r, c: r.metric == "bits_per_dim" and is_annealed(c),
        lambda v: v + 1,
        {"C8.reparam_mnist", "C8.gumbel_st_cifar10", "C8.reinforce_mnist"},
    ),
    "a silent gradient that is best left alone": (
        {"learned_variance"},
        lambda r, c: r.metric == "bits_per_dim" and is_silent_only(c),
        lambda v: v - 1,
        {"C9.gaussian", "C9.bernoulli"},
    ),
    "blur": (
        {"fixed_variance", "learned_variance"},
        lambda r, c: r.metric == "mse" and (is_silent(c) or is_annealed(c)),
        lambda v: 1.2 * v,
        {"C10.fixed_gaussian", "C10.fixed_gumbel", "C10.learned_gumbel_st"},
    ),
    "a slow guide": (
        {"overhead"},
        lambda r, c: r.metric == "step_time_ratio",
        lambda v: 1.5 * v,
        {"C11.reparam", "C11.gumbel_st", "C11.reinforce"},
    ),
    "an ELBO above the ceiling": (
        {"fixed_variance", "ceiling"},
        silent_elbo,
        lambda v: v + 2,
        {"C4.silent_below"},
    ),
    "a gap that stays open": (
        {"fixed_variance", "ceiling"},
        silent_elbo,
        lambda v: v - 4,
        {"C4.closes"},
    ),
}


@pytest.mark.parametrize("what", TURNED)
def test_rows_that_say_the_opposite_contradict_a_claim(tmp_path, what):
    only, moved, turned, checks = TURNED[what]
    verdicts = judge(
        tmp_path,
        lambda r, c, s: replace(r, value=turned(r.value)) if moved(r, c) else r,
        "reduced",
        only=only,
        claims={check.split(".")[0] for check in checks},
    )
    for check in checks:
        assert verdicts[check] == verdicts[check.split(".")[0]] == CONTRADICTED, check


def test_one_cell_of_nine_that_does_not_improve_is_named_and_contradicts_consistently(tmp_path):
    def worse(row, cell, seed):
        here = cell.params["dataset"] == "cifar10" and is_annealed(cell)
        here &= cell.params["estimator_options"].get("second") == "exact_kl"
        return replace(row, value=row.value + 1) if here and row.metric == "bits_per_dim" else row

    verdicts = judge(tmp_path, worse, only={"learned_variance"}, claims={"C8"})
    assert verdicts["C8"] == verdicts["C8.reparam_cifar10"] == CONTRADICTED
    others = [
        c for c in verdicts.index if c.startswith("C8.") and c.endswith(("mnist", "imagenet"))
    ]
    assert len(others) == 6
    assert set(verdicts[others]) == {SUPPORTED}


def test_a_gain_within_the_noise_of_seeds_decides_nothing(tmp_path):
    def noisy(row, cell, seed):
        moved = row.value + GAIN + 0.02 * noise("moved", seed)
        return replace(row, value=moved) if is_annealed(cell) else row

    verdicts = judge(tmp_path, noisy, "reduced", only={"learned_variance"}, claims={"C8"})
    assert verdicts["C8.reparam_mnist"] == verdicts["C8"] == INCONCLUSIVE


def test_a_learning_rate_is_chosen_on_validation_and_not_on_test_images(tmp_path):
    def lucky(row, cell, seed):
        here = cell.params["estimator"] == "exact_kl" and cell.params["lr"] == 0.0003
        return replace(row, value=row.value + 100) if here and row.split == "test" else row

    verdicts = judge(tmp_path, lucky, only={"fixed_variance"}, claims={"C5"})
    assert verdicts["C5"] == SUPPORTED

    def good(row, cell, seed):
        here = cell.params["estimator"] == "exact_kl" and cell.params["lr"] == 0.0003
        return replace(row, value=row.value + 100) if here else row

    verdicts = judge(tmp_path / "good", good, only={"fixed_variance"}, claims={"C5"})
    assert verdicts["C5"] == CONTRADICTED


def test_no_claim_survives_numbers_that_are_not_numbers(tmp_path):
    verdicts = judge(tmp_path, lambda row, *_: replace(row, value=math.nan), tier="smoke")
    assert set(verdicts) == {NOT_RUN}


def test_no_claim_about_seeds_is_decided_with_a_seed_missing(tmp_path):
    claims = ("C5", "C6", "C7", "C8", "C9", "C10")
    cells = grid.expand(STUDY, "reduced")
    found = results(tmp_path, cells, lambda c, s: None if s == 1 else rows(c, s), "reduced")
    verdicts = verdicts_of(found, tmp_path, claims)
    assert set(verdicts[list(claims)]) <= {INCONCLUSIVE, NOT_RUN}


def test_without_rows_every_claim_is_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    assert set(evaluate(load(tmp_path / "out"), STUDY, FOLDER)["verdict"]) == {NOT_RUN}


@pytest.mark.parametrize("tier", grid.TIERS)
def test_every_deciding_check_finds_its_cells_or_says_not_run(tmp_path, tier, true_verdicts):
    verdicts = true_verdicts if tier == "paper" else judge(tmp_path, tier=tier)
    assert CONTRADICTED not in set(verdicts)
    missing = {name for name in deciding_checks() if verdicts[name] == NOT_RUN}
    assert missing == LEFT_OUT[tier]


def test_claims_name_figures_that_the_study_draws():
    known = registry.keys(FOLDER / "figures.py", "FIGURES")
    claims = load_claims(FOLDER / "claims.yaml", STUDY)["claims"]
    assert {name for claim in claims for name in claim["figure"].split()} <= set(known)


def test_every_claim_is_traced_to_its_source():
    claims = load_claims(FOLDER / "claims.yaml", STUDY)["claims"]
    assert {claim["id"] for claim in claims} == PAPER_CLAIMS
    assert {claim["id"] for claim in claims if claim["by"] == "paper"} == {
        *("C1", "C2", "C5", "C6", "C8", "C10")
    }
