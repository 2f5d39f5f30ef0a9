"""The study's claims on made-up rows of its own grid: true rows support, turned ones contradict.

The cells are the grid's, so a selection that misses them shows as "not run".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row, coordinates
from tests.results.made_runs import noise, results
from tests.studies.silent_gradients.silent_runs import GAIN, RELAXED, STUDY, rows

FOLDER = registry.STUDIES / STUDY
PUBLISHED = Path(__file__).parents[2] / "results/published/studies" / STUDY
SUPPORTED, CONTRADICTED = "supported", "contradicted"
INCONCLUSIVE, NOT_RUN = "inconclusive", "not run"
E1, E2 = "fixed_variance", "learned_variance"
# Deciding checks that a tier leaves out: small sets never stand for those of the paper, and the
# ceiling is compared at the learning rate, size and variance of MNIST.
SMALL = {
    *(f"silent-C8.final_{base}" for base in ("reparam", "gumbel_st", "reinforce")),
    *(f"silent-C4.{name}" for name in ("below_silent", "below_exact_kl", "closes")),
}
FEW = {"C6.against_gumbel", "C7.discrete_gumbel", "C9.latents_bernoulli", "C10.fixed_gumbel"}
LEFT_OUT = {
    "smoke": SMALL | {f"silent-{name}" for name in FEW | {"C2.root_of_draws"}},  # too few draws
    "quick": SMALL,
    "reduced": set[str](),
    "paper": set[str](),
}
SAMPLED = {"gaussian": ("exact_kl",), "bernoulli": RELAXED, "categorical": RELAXED}
Change = Callable[[Row, Cell, int], Row | None]


def exact_rows() -> Iterator[Row]:
    """As many numbers as the task `exactness` measures, all as theory has them."""
    for latent in ("gaussian", "bernoulli", "bernoulli_01", "categorical"):
        for formula in ("fixed", "L0", "EXP", "EXP2", "SQ"):
            where = coordinates(formula=formula, latent=latent)
            for what in ("relative", "gradient"):
                yield Row(f"closed_form_{what}_error", 1e-14, "1", at=where)
    for latent, others in SAMPLED.items():
        at = coordinates(latent=latent)
        gaussian = latent == "gaussian"
        repeated = others if gaussian else ("gumbel_softmax", "gumbel_softmax_st", "reinforce")
        for name in ("silent", *repeated):
            yield Row("repeat_identical", float(name == "silent"), "1", at=at, estimator=name)
        for name in ("score_function", "reinforce", "rloo", *others):
            biased = name in RELAXED
            yield Row("bias_z_max", 70.0 if biased else 2.5, "1", at=at, estimator=name)
            yield Row("unbiased_slope", -0.2 if biased else -0.5, "1", at=at, estimator=name)
            parameters = ("mean", "log_scale") if gaussian else ("logits",)
            for parameter in parameters if name != "rloo" and not biased else ():
                where = coordinates(latent=latent, parameter=parameter)
                yield Row("variance_ratio", 1.004, "1", at=where, estimator=name)
                yield Row("variance_ratio_noise", 0.004, "1", at=where, estimator=name)


def made(cell: Cell, seed: int) -> Iterator[Row]:
    """The rows of a run; its late marks, which figures do not need, are as good as its end."""
    if cell.experiment == "exactness":
        yield from exact_rows()
        return
    steps = cell.params.get("steps")
    late = [mark for mark in cell.params.get("marks", ()) if mark > 0.5]
    for row in rows(cell, seed):
        yield row
        if row.step == steps and row.kind == "final" and row.metric in ("elbo", "bits_per_dim"):
            yield from (replace(row, step=round(m * steps), kind="curve") for m in late)


def judge(
    tmp_path: Path,
    change: Change = lambda row, cell, seed: row,
    tier: str = "reduced",
    only: Collection[str] = (),
) -> pd.DataFrame:
    """What is said of claims and checks, by their names; `change` may alter each row, or drop it by
    returning None. `only` limits the experiments to those named."""
    cells = grid.expand(STUDY, tier, max_seeds=3)
    cells = [cell for cell in cells if not only or cell.experiment in only]

    def changed(cell: Cell, seed: int) -> list[Row]:
        kept = (change(row, cell, seed) for row in made(cell, seed))
        return [row for row in kept if row is not None]

    return told(results(tmp_path, cells, changed, tier))


def told(found: Results) -> pd.DataFrame:
    said = evaluate(found, STUDY, FOLDER)
    names = said["claim"] + ("." + said["check"]).where(said["check"] != "", "")
    return said.set_index(names)


@pytest.fixture(scope="module")
def true_rows(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("true"), tier="paper")


@pytest.fixture(scope="module")
def published():
    return told(load(PUBLISHED))


def test_rows_as_claimed_support_every_claim(true_rows):
    verdicts = true_rows["verdict"]
    left_out = set(verdicts.index[verdicts == NOT_RUN])
    assert left_out == {f"silent-C8.small_{base}" for base in ("reparam", "gumbel_st", "reinforce")}
    others = verdicts.drop(left_out)
    assert set(others) == {SUPPORTED}, others[others != SUPPORTED]


def is_silent(cell: Cell) -> bool:
    return cell.params["estimator"] == "silent"


def is_annealed(cell: Cell, base: str = "") -> bool:
    options = cell.params.get("estimator_options", {})
    return isinstance(options.get("alpha"), dict) and base in ("", options["second"])


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
        {"C3.closed_form_value", "C3.closed_form_gradient"},
    ),
    "variances that are 4 % off, ten standard errors": (
        {"exactness"},
        lambda r, c: r.metric == "variance_ratio",
        lambda v: 1.04,
        {"C3.variances"},
    ),
    "an ELBO above the ceiling": (
        {E1, "ceiling"},
        silent_elbo,
        lambda v: v + 2,
        {"C4.below_silent"},
    ),
    "a gap that stays open": ({E1, "ceiling"}, silent_elbo, lambda v: v - 4, {"C4.closes"}),
    "a silent gradient that trains badly": (
        {E1},
        silent_elbo,
        lambda v: v - 40,
        {
            *("C5.after_1_percent", "C5.after_5_percent", "C6.against_reinforce"),
            *("C12.after_20_percent", "C12.at_the_end", "C7.reparam", "C7.discrete_reinforce"),
        },
    ),
    "a silent gradient that is first at its end alone": (
        {E1},
        lambda r, c: silent_elbo(r, c) and r.kind == "curve",
        lambda v: v - 40,
        {"C7.reparam", "C7.discrete_gumbel", "C7.discrete_gumbel_st", "C7.discrete_reinforce"},
    ),
    "annealing that harms": (
        {E2},
        lambda r, c: r.metric == "bits_per_dim" and is_annealed(c),
        lambda v: v + 1,
        {"C8.final_reparam", "C8.final_gumbel_st", "C8.final_reinforce"},
    ),
    "a silent gradient that is best left alone": (
        {E2},
        lambda r, c: r.metric == "bits_per_dim" and is_silent_only(c),
        lambda v: v - 1,
        {"C9.latents_gaussian", "C9.latents_bernoulli"},
    ),
    "blur": (
        {E1, E2},
        lambda r, c: r.metric == "mse" and (is_silent(c) or is_annealed(c)),
        lambda v: 1.2 * v,
        {"C10.fixed_reparam", "C10.fixed_gumbel", "C10.learned_reparam", "C10.learned_gumbel_st"},
    ),
    "a slow guide": (
        {"overhead"},
        lambda r, c: r.metric == "step_time_ratio",
        lambda v: 1.5 * v,
        {"C11.step_exact_kl", "C11.step_gumbel_softmax_st", "C11.step_reinforce"},
    ),
}


@pytest.mark.parametrize("what", TURNED)
def test_rows_that_say_the_opposite_contradict_a_claim(tmp_path, what):
    only, moved, turned, checks = TURNED[what]
    said = judge(
        tmp_path,
        lambda r, c, s: replace(r, value=turned(r.value)) if moved(r, c) else r,
        only=only,
    )["verdict"]
    for check in (f"silent-{name}" for name in checks):
        assert said[check] == said[check.partition(".")[0]] == CONTRADICTED, check


def moved_bits(by: Callable[[int], float], **where: str) -> Change:
    """Annealed runs of a baseline, or on a data set, that give so many more bits/dim."""

    def change(row: Row, cell: Cell, seed: int) -> Row:
        here = is_annealed(cell, where.get("base", ""))
        here &= where.get("dataset") in (None, cell.params["dataset"])
        moved = here and row.metric == "bits_per_dim"
        return replace(row, value=row.value + by(seed)) if moved else row

    return change


def test_one_cell_of_nine_that_does_not_improve_is_named_and_contradicts_consistently(tmp_path):
    worse = moved_bits(lambda seed: 1.0, base="exact_kl", dataset="cifar10")
    said = judge(tmp_path, worse, "paper", only={E2})
    assert said.loc["silent-C8", "verdict"] == CONTRADICTED
    assert said.loc["silent-C8", "deciding"] == "final_reparam"
    assert "dataset=cifar10" in said.loc["silent-C8", "note"]
    others = said.loc[["silent-C8.final_gumbel_st", "silent-C8.final_reinforce"], "verdict"]
    assert set(others) == {SUPPORTED}


def test_nine_cells_of_which_three_were_not_run_do_not_support(tmp_path):
    said = judge(tmp_path, only={E2})
    assert said.loc["silent-C8", "verdict"] == INCONCLUSIVE
    assert said.loc["silent-C8.final_reinforce", "verdict"] == INCONCLUSIVE


def test_a_gain_below_the_margin_contradicts_and_is_called_one(tmp_path):
    smaller = moved_bits(lambda seed: GAIN - 0.004)

    def quiet(row: Row, cell: Cell, seed: int) -> Row:
        return smaller(replace(row, value=row.value - 0.00099 * noise(seed, cell.id)), cell, seed)

    said = judge(tmp_path, quiet, "paper", only={E2})
    assert said.loc["silent-C8", "verdict"] == CONTRADICTED
    assert "smaller than 0.01" in said.loc["silent-C8", "words"]


def test_a_gain_within_the_noise_of_seeds_decides_nothing(tmp_path):
    noisy = moved_bits(lambda seed: GAIN + 0.02 * noise("moved", seed))
    said = judge(tmp_path, noisy, only={E2})["verdict"]
    assert said["silent-C8.final_reparam"] == said["silent-C8"] == INCONCLUSIVE
    assert said["silent-C8.at_50_percent_reparam"] == INCONCLUSIVE


def test_rows_that_vanish_from_one_data_set_are_a_gap(tmp_path):
    def dropped(row: Row, cell: Cell, seed: int) -> Row | None:
        gone = row.metric == "mse" and is_annealed(cell) and cell.params["dataset"] == "cifar10"
        return None if gone else row

    assert judge(tmp_path / "all", only={E1, E2}).loc["silent-C10", "verdict"] == SUPPORTED
    said = judge(tmp_path / "fewer", dropped, only={E1, E2})
    assert said.loc["silent-C10", "verdict"] == INCONCLUSIVE
    assert "cifar10" in said.loc["silent-C10.learned_reparam", "note"]


def test_runs_that_still_climb_say_nothing_about_the_ceiling(tmp_path):
    def climbing(row: Row, cell: Cell, seed: int) -> Row:
        early = row.kind == "curve" and row.step <= 0.7 * cell.params.get("steps", 0)
        moved = early and row.split == "train" and silent_elbo(row, cell)
        return replace(row, value=row.value - 1) if moved else row

    said = judge(tmp_path, climbing, only={E1, "ceiling"})
    assert said.loc["silent-C4.below_silent", "verdict"] == SUPPORTED
    assert said.loc["silent-C4", "verdict"] == INCONCLUSIVE
    assert "not settled" in said.loc["silent-C4", "note"]


def test_a_learning_rate_is_chosen_on_validation_and_not_on_test_images(tmp_path):
    def lucky(row: Row, cell: Cell, seed: int, split: str) -> Row:
        here = cell.params["estimator"] == "exact_kl" and cell.params["lr"] == 0.0003
        return replace(row, value=row.value + 100) if here and split in row.split else row

    said = judge(tmp_path / "test", partial(lucky, split="test"), only={E1})
    assert said.loc["silent-C5", "verdict"] == SUPPORTED
    said = judge(tmp_path / "every", partial(lucky, split=""), only={E1})
    assert said.loc["silent-C5", "verdict"] == CONTRADICTED


def test_no_claim_survives_numbers_that_are_not_numbers(tmp_path):
    said = judge(tmp_path, lambda row, *_: replace(row, value=math.nan), tier="smoke")
    assert not {SUPPORTED, CONTRADICTED} & set(said["verdict"])


def test_no_claim_about_seeds_is_decided_with_a_seed_missing(tmp_path):
    cells = grid.expand(STUDY, "reduced")
    found = told(results(tmp_path, cells, lambda c, s: None if s == 1 else made(c, s), "reduced"))
    claims = [f"silent-C{i}" for i in range(4, 13)]
    assert set(found.loc[claims, "verdict"]) == {INCONCLUSIVE}


def test_without_rows_every_claim_is_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    assert set(told(load(tmp_path / "out"))["verdict"]) == {NOT_RUN}


@pytest.mark.parametrize("tier", grid.TIERS)
def test_every_deciding_check_finds_its_cells_or_says_not_run(tmp_path, tier, true_rows):
    said = true_rows if tier == "paper" else judge(tmp_path, tier=tier)
    assert CONTRADICTED not in set(said["verdict"])
    deciding = said[said["role"] == "decides"]
    assert set(deciding.index[deciding["verdict"] == NOT_RUN]) == LEFT_OUT[tier]


def test_the_published_rows_are_judged_as_by_hand(published):
    """By pandas and scipy, without the engine: means, t intervals, Holm among nine claims."""
    expected = {
        **dict.fromkeys(("C1", "C2", "C3", "C6", "C7", "C12"), SUPPORTED),
        **dict.fromkeys(("C4", "C5", "C8", "C9", "C10", "C11"), INCONCLUSIVE),
    }
    claims = published[published["check"] == ""]["verdict"]
    assert dict(claims) == {f"silent-{name}": verdict for name, verdict in expected.items()}
    half_way = published.loc["silent-C8.at_50_percent_reparam"]
    assert half_way["verdict"] == INCONCLUSIVE  # -0.037 +- 0.063 and -0.004 +- 0.064
    closest = published.loc["silent-C12"]
    assert closest["deciding"] == "at_the_end"
    assert closest["estimate"] == pytest.approx(1.4642, abs=1e-4)
    assert closest["p_support"] == pytest.approx(0.00468, abs=1e-5)


def test_every_claim_is_traced_to_its_source():
    claims = load_claims(FOLDER / "claims.yaml", STUDY)
    assert {claim.id for claim in claims} == {f"silent-C{i}" for i in range(1, 13)}
    by_paper = {claim.id for claim in claims if claim.by == "paper"}
    assert by_paper == {"silent-C1", "silent-C5", "silent-C6", "silent-C8"}
