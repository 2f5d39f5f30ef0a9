"""Claims about learned and fixed gamma: made-up rows of the study's grid that say so support them,
turned ones contradict, and what is missing or has not arrived decides nothing."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row, coordinates
from tests.results import infinite_gradients_rows as gamma_rows
from tests.results.infinite_gradients_rows import STUDY, kind
from tests.results.made_runs import noise, results

FOLDER = registry.STUDIES / STUDY
PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "studies" / STUDY
POINTS = 20  # of a curve
FAMILIES = ("celeba_", "miniature_")
OTHERS = ("screening", "curve", "informative_")
Change = Callable[[Row, Cell, int], Row | None]


@functools.cache
def cells(tier: str, families: tuple[str, ...] = FAMILIES) -> tuple[Cell, ...]:
    """The grid's cells of some experiments, with all their seeds and curves of POINTS points."""
    found = [c for c in grid.expand(STUDY, tier) if c.experiment.startswith(families)]
    return tuple(replace(c, params=c.params | {"curve_points": POINTS}) for c in found)


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    """Rows of one run that support what is claimed of it."""
    if not cell.experiment.startswith(FAMILIES):
        yield from other_rows(cell, seed)
        return
    small = cell.experiment.startswith("miniature")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gamma_rows, "POINTS", POINTS)
        made = list(gamma_rows.rows(cell, seed))
    for row in made:
        jitter = noise(cell.id, seed, row.step, row.metric)
        if row.metric == "mmd" and small:  # margins are on the scale of CelebA's
            row = replace(row, value=20 * row.value)
        # else the rank correlations of all seeds were alike, which decides nothing
        if row.metric == "grad_z" and row.step < cell.params["steps"] / 2:
            row = replace(row, value=row.value * math.exp(0.2 * jitter))
        yield row
        if row.metric == "gamma" and row.kind == "curve" and kind(cell) == "learned":
            error = row.value * math.exp(-0.01 + 0.001 * jitter)
            yield replace(
                row,
                metric="distortion",
                unit="nats/image",
                value=distortion(row.value, error, small),
            )


def distortion(gamma: float, error: float, small: bool) -> float:
    """-log p(x|z) in nats per image at this gamma and squared error per pixel."""
    pixels = 100 if small else 49152
    return pixels / 2 * (math.log(2 * math.pi * gamma) + error / gamma)


def other_rows(cell: Cell, seed: int) -> Iterator[Row]:
    """The same for outliers and dimensions."""
    p, wobble = cell.params, 0.002 * noise(cell.id, seed)
    learned = p.get("rates", {}).get("likelihood", 1) > 0 and p.get("objective") == "elbo"
    score, threshold = coordinates(score="sse"), coordinates(threshold=0.5)
    match cell.experiment:
        case "screening":
            area = (0.98 if p["dim"] > 2 else 0.95) if learned else 0.94
            yield Row("auroc", area + wobble, "1", "test", score)
            used = min(p["dim"], 20 + (seed + p["dim"] // 64) % 2)
            yield Row("informative_units", used, "1", "test", threshold)
        case "curve":
            yield Row("auroc", (0.99 if learned else 0.42) + wobble, "1", "test", score)
            yield Row("informative_units", 1 if learned else 0, "1", "test", threshold)
        case "screening_pca" | "curve_pca":
            for dim in p["dims"]:
                at = coordinates(dim=dim, score="sse")
                yield Row("auroc", 0.5 if cell.experiment == "curve_pca" else 0.9, "1", "test", at)
        case "informative_dims":
            for at, more in ((0.1, -2), (0.5, 0), (0.9, 2)):
                at = coordinates(threshold=at)
                yield Row("informative_units", 15 + seed % 2 + more, "1", "test", at)
            yield Row("sse", 4.5 * (1 + wobble), "sse/image", "test", coordinates(z="mean"))
        case "informative_pca":
            for part, count in ((0.9, 87), (0.95, 154)):
                yield Row("components_needed", count, "1", "train", coordinates(explained=part))
            for dim in p["dims"]:
                yield Row("sse", 442 / dim, "sse/image", "test", coordinates(dim=dim))


def judge(
    tmp_path: Path,
    change: Change = lambda row, cell, seed: row,
    tier: str = "paper",
    families: tuple[str, ...] = FAMILIES,
    without: Callable[[Cell, int], bool] = lambda cell, seed: False,
) -> pd.DataFrame:
    """Verdicts by claim and check, such as A6.mmd; `change` may alter each row, or drop it by
    returning None."""

    def made(cell: Cell, seed: int) -> list[Row] | None:
        if without(cell, seed):
            return None
        changed = (change(row, cell, seed) for row in rows(cell, seed))
        return [row for row in changed if row is not None]

    return by_name(results(tmp_path, cells(tier, families), made, tier))


def by_name(found: Results) -> pd.DataFrame:
    """The verdicts of all claims of the study, by claim and check."""
    judged = evaluate(found, STUDY, FOLDER)
    names = judged["claim"].str.removeprefix("infinite-") + "." + judged["check"]
    return judged.set_index(names.str.removesuffix("."))


def deciding(verdicts: pd.DataFrame, verdict: str) -> set[str]:
    """The checks that decide, of claims that rest on these rows, which have a verdict."""
    kept = verdicts[(verdicts["role"] == "decides") & (verdicts["kind"] == "finding")]
    return set(kept.index[kept["verdict"] == verdict])


CELEBA = {"A1.trained_celeba", "A6.mmd", "A6.reconstruction", "A7.start", "A7.end", "A7.rising"}
COUNTED = {"A8.active", "A8.rank", "A11.fewer_100", "A13.one_dim"}
REAL = {"A12.dims"}  # MNIST itself
SEVERAL = {"A9.no_worse", "A9.active_plateau", "A13.learned", "A13.one_dim"}  # latent spaces
LARGE_OR_FAST = {"A10.fast", "A10.closed_form", "A11.error_10", "A11.error_100", "A11.fewer_100"}


def test_true_rows_support_every_claim_at_the_largest_tier(tmp_path):
    verdicts = judge(tmp_path, families=FAMILIES + OTHERS)
    every = set.union(*(deciding(verdicts, one) for one in set(verdicts["verdict"])))
    assert deciding(verdicts, SUPPORTED) == every
    claims = verdicts[(verdicts["check"] == "") & (verdicts["kind"] == "finding")]["verdict"]
    held = {"A6", "A7", "A8", "A10", "A11", "A12", "A13"}
    assert set(claims.index[claims == SUPPORTED]) == held
    # closed forms are not among these rows; three seeds of whole numbers do not show a plateau
    assert set(claims.index[claims == INCONCLUSIVE]) == {"A1", "A9"}
    assert verdicts.loc["A8.active", "n"] == 10


@pytest.mark.parametrize("tier", ["smoke", "quick", "reduced"])
def test_small_tiers_contradict_nothing_and_never_stand_for_celeba(tmp_path, tier):
    verdicts = judge(tmp_path, tier=tier, families=FAMILIES + OTHERS)
    assert not deciding(verdicts, CONTRADICTED)
    left_out = {
        "smoke": CELEBA | REAL | LARGE_OR_FAST | SEVERAL,
        "quick": CELEBA | REAL,
        "reduced": set(),
    }
    assert deciding(verdicts, NOT_RUN) == left_out[tier]
    assert (
        deciding(verdicts, INCONCLUSIVE) >= COUNTED - left_out[tier]
    )  # three seeds count for little
    faces = [name for name in verdicts.index if name.endswith("_faces")]
    assert set(verdicts.loc[faces, "verdict"]) == {NOT_RUN} or tier != "reduced"


def test_learned_and_fixed_runs_that_are_swapped_are_caught(tmp_path):
    """Every number of a pair is given to the other one."""
    found = {c.id: c for c in cells("paper") if kind(c) in ("learned", "fixed")}

    def swapped(cell: Cell, seed: int) -> list[Row]:
        other = cell.id.replace("learned", "#").replace("fixed", "learned").replace("#", "fixed")
        return list(rows(found.get(other, cell), seed))

    verdicts = by_name(results(tmp_path, found.values(), swapped))["verdict"]
    for check in ("A6.mmd", "A7.start", "A7.rising", "A8.active", "A8.rank"):
        assert verdicts[check] == verdicts[check.split(".")[0]] == CONTRADICTED, check
    assert verdicts["A6.reconstruction"] == verdicts["A7.end"] == SUPPORTED  # either way


# What is turned, in two sets of rows: which rows, how they change, and the checks contradicted.
Turned = tuple[Callable[[Row, Cell], bool], Callable[[float], float], set[str]]
FIRST: dict[str, Turned] = {
    "a gamma that stops short": (
        lambda r, c: r.metric == "distortion" and kind(c) == "learned",
        lambda v: v - 2500 if abs(v) > 1000 else v - 3,  # a smaller error at the same gamma
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
    "an MMD that is higher": (
        lambda r, c: r.metric == "mmd" and kind(c) == "learned",
        lambda v: 4 * v,
        {"A6.mmd"},
    ),
    "gradients that end apart": (
        lambda r, c: r.metric == "grad_z" and kind(c) == "fixed",
        lambda v: 3 * v,
        {"A7.end"},
    ),
    "a large gamma that reconstructs as well": (
        lambda r, c: r.metric == "sse" and kind(c).startswith("times"),
        lambda v: v / (1.8 if v < 100 else 4),
        {"A11.error_10"},
    ),
    "a large gamma that keeps as many dimensions": (
        lambda r, c: r.metric == "informative_units" and kind(c).startswith("times"),
        lambda v: v + 3,
        {"A11.fewer_100"},
    ),
}


@pytest.mark.parametrize("turned", [FIRST, SECOND], ids=["first", "second"])
def test_rows_that_say_the_opposite_contradict_a_claim(tmp_path, turned):
    def change(row: Row, cell: Cell, seed: int) -> Row:
        for moved, how, _ in turned.values():
            if moved(row, cell):
                return replace(row, value=how(row.value))
        return row

    verdicts = judge(tmp_path, change)["verdict"]
    for what, (_, _, checks) in turned.items():
        for check in checks:
            assert verdicts[check] == verdicts[check.split(".")[0]] == CONTRADICTED, what


def test_outliers_and_dimensions_that_say_the_opposite_contradict(tmp_path):
    """One small latent space is better; all of a doubled one is used; two dimensions code the
    curve; PCA tells outliers apart; 25 dimensions are informative."""

    def change(row: Row, cell: Cell, seed: int) -> Row:
        at, dim = cell.experiment, cell.params.get("dim")
        if at == "screening" and row.metric == "auroc" and dim != 20:
            return replace(row, value=row.value - 0.04)
        if at == "screening" and row.metric == "informative_units" and dim == 128:
            return replace(row, value=2 * row.value)
        if at == "curve" and row.metric == "informative_units":
            return replace(row, value=2.0)
        if at == "curve_pca":
            return replace(row, value=0.9)
        if at == "informative_dims" and row.metric == "informative_units":
            return replace(row, value=row.value + 10)
        return row

    verdicts = judge(tmp_path, change, families=OTHERS)
    for check in ("A9.no_worse", "A9.active_plateau", "A12.dims", "A13.one_dim", "A13.pca_2"):
        assert verdicts.loc[check, "verdict"] == CONTRADICTED, check
    assert verdicts.loc["A13", "verdict"] == CONTRADICTED  # by a fact, whatever else is open
    assert verdicts.loc["A9.told_apart", "verdict"] == SUPPORTED


def test_dimensions_at_another_error_are_not_compared(tmp_path):
    def worse(row: Row, cell: Cell, seed: int) -> Row:
        vae = cell.experiment == "informative_dims" and row.metric == "sse"
        return replace(row, value=1.6 * row.value) if vae else row

    verdicts = judge(tmp_path, worse, families=("informative_",))
    assert verdicts.loc["A12.same_error", "verdict"] == CONTRADICTED
    assert verdicts.loc["A12", "verdict"] == INCONCLUSIVE
    assert "not comparable" in verdicts.loc["A12.same_error", "words"]


LOST = ("celeba_learned", 1)
GONE: dict[str, Callable[[Row], bool]] = {
    "a curve of the loss": lambda row: row.metric == "distortion",
    "one point of gamma": lambda row: row.metric == "gamma" and row.step == 50000,
    "an error that says how many pixels": lambda row: row.metric == "mse" and row.split == "test",
}


@pytest.mark.parametrize("what", GONE)
def test_what_is_lost_of_one_run_leaves_gamma_open(tmp_path, what):
    def drop(row: Row, cell: Cell, seed: int) -> Row | None:
        return None if (cell.experiment, seed) == LOST and GONE[what](row) else row

    verdicts = judge(tmp_path, drop, families=("celeba_learned",))
    assert verdicts.loc["A1.trained_celeba", "verdict"] == INCONCLUSIVE
    assert ":1" in verdicts.loc["A1.trained_celeba", "note"]


def test_a_gamma_that_still_falls_decides_nothing(tmp_path):
    def falling(row: Row, cell: Cell, seed: int) -> Row:
        late = cell.experiment == "miniature_learned" and row.kind == "curve" and seed == 0
        late = late and row.step == 8000 and row.metric == "gamma"
        return replace(row, value=0.8 * row.value) if late else row

    verdicts = judge(tmp_path, falling, families=("miniature_learned",))
    assert verdicts.loc["A1.trained_miniature", "verdict"] == INCONCLUSIVE
    assert "not settled" in verdicts.loc["A1.trained_miniature", "note"]


def test_a_missing_run_of_a_smaller_latent_space_leaves_the_best_unknown(tmp_path):
    def gone(cell: Cell, seed: int) -> bool:
        return cell.params.get("dim") == 20 and seed == 1

    verdicts = judge(tmp_path, families=("screening",), without=gone)
    assert verdicts.loc["A9.no_worse", "verdict"] == INCONCLUSIVE
    assert verdicts.loc["A9.told_apart", "verdict"] == SUPPORTED


def test_one_seed_of_ten_without_the_effect_turns_no_count(tmp_path):
    def change(row: Row, cell: Cell, seed: int) -> Row:
        turned = kind(cell) == "fixed" and row.metric == "informative_units" and seed == 2
        return replace(row, value=5.0) if turned else row

    families = ("miniature_learned", "miniature_fixed")
    verdicts = judge(tmp_path, change, families=families)
    assert verdicts.loc["A8.active", "verdict"] == SUPPORTED  # 9 of 10, by itself
    assert verdicts.loc["A8", "verdict"] == INCONCLUSIVE  # not among nine claims
    assert "9 of 10" in verdicts.loc["A8.active", "words"]


def test_no_claim_survives_numbers_that_are_not_numbers(tmp_path):
    verdicts = judge(tmp_path, lambda row, *_: replace(row, value=math.nan), tier="quick")
    assert set(verdicts["verdict"]) <= {NOT_RUN, INCONCLUSIVE}


def test_without_rows_every_claim_is_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    assert set(evaluate(load(tmp_path / "out"), STUDY, FOLDER)["verdict"]) == {NOT_RUN}


FACTS = ("A2", "A3", "A4", "A5", "A14")


@pytest.fixture(scope="module")
def published() -> Results:
    return load(PUBLISHED)


def test_published_facts_hold(published):
    verdicts = by_name(published)
    assert set(verdicts.loc[list(FACTS), "verdict"]) == {SUPPORTED}
    assert set(verdicts.loc[list(FACTS), "kind"]) == {"fact"}
    assert verdicts.loc["A12.components_90", "estimate"] == 87
    assert verdicts.loc["A12.components_95", "estimate"] == 154


# One number of each fact, moved to where the theorem does not allow it.
MOVED = {
    "A2": ("linear_vae", "trained_slope_ratio", "beta=1", 0.9),
    "A3": ("beta_threshold", "log_gamma", "beta=1,ratio=0.2", -5.0),  # which the rule once left out
    "A4": ("labyrinth", "labyrinth_preferred", "penalty=sqrt,constant=1,eps=0.001", 1.0),
    "A5": ("landscape", "local_minima", "slice=b,gamma=0.001", 1.0),
    "A14": ("closed_forms", "lemma2_gap", "h=log,gamma=1e-07", 0.1),
}


def test_one_wrong_number_contradicts_a_published_fact_and_a_lost_one_leaves_it_open(published):
    metrics, moved, lost = published.metrics, published.metrics.copy(), set()
    for experiment, metric, at, value in MOVED.values():
        asked = (metrics["experiment"] == experiment) & (metrics["metric"] == metric)
        place = metrics.index[asked & (metrics["at"] == at)][0]
        moved.loc[place, "value"] = value
        lost.add(place)
    wrong = by_name(replace(published, metrics=moved))["verdict"]
    assert set(wrong[list(FACTS)]) == {CONTRADICTED}
    fewer = by_name(replace(published, metrics=metrics.drop(index=sorted(lost))))["verdict"]
    assert set(fewer[list(FACTS)]) == {INCONCLUSIVE}
