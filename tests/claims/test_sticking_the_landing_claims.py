"""The study's claims on made-up rows of its own grid: true rows support, wrong ones contradict.

The cells are the grid's, so a selection that misses them shows as "not run".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.drawing.tables import render_study
from paper_repro.results.collect import collect
from paper_repro.results.frames import load
from paper_repro.rows import Row, coordinates
from tests.results.made_runs import noise, results

PUBLISHED = Path(__file__).parents[2] / "results/published"

STUDY = "sticking_the_landing"
FOLDER = registry.STUDIES / STUDY
SWAP = {"total": "path", "path": "total"}


def fit_rows(cell: Cell, seed: int) -> Iterator[Row]:
    lands = cell.params["estimator"] == "path"
    wobble = np.exp(0.1 * noise(seed, lands))
    yield Row("kl_last100", (1e-6 if lands else 0.6) * wobble, "nats")


def mixture_rows(cell: Cell, seed: int) -> Iterator[Row]:
    estimator = cell.params["estimator"]
    wobble = np.exp(0.1 * noise(seed, estimator))
    level = {"path": 0.001, "total": 0.05, "partial": 0.02}[estimator]
    yield Row("kl_final", level * wobble, "nats")
    if cell.params["target"] == "same_family":
        trace = {"path": 1e-28, "total": 6.0, "partial": 2.0}[estimator]
        yield Row("gradient_variance_trace_at_truth", trace * wobble, "nats^2")


def map_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for parameter in ("mu", "log_s"):
        for m in cell.params["m"]:
            for s2 in cell.params["s2"]:
                at = coordinates(parameter=parameter, m=float(m), s2=float(s2))
                for estimator, c in (("total", 0.0), ("path", 1.0)):
                    rest = (s2 - c) ** 2
                    exact = rest / s2 if parameter == "mu" else m**2 * s2 + 2 * rest
                    wobble = 1 + 0.01 * noise(at, estimator)
                    for metric, value in (
                        ("gradient_variance", exact * wobble),
                        ("gradient_variance_theory", exact),
                    ):
                        yield Row(metric, value, "nats^2", at=at, estimator=estimator)


def truth_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for a, total, path in ((0.9, 337.0, 3.6), (1.0, 325.0, 1e-27)):
        for estimator, level in (("total", total), ("path", path)):
            value = level * np.exp(0.05 * noise(seed, a, estimator))
            yield Row("gradient_variance_trace", value, "nats^2", "", coordinates(a=a), estimator)


def snr_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for k in cell.params["k"]:
        for estimator, exponent in (("total", -0.5), ("dreg", 0.44), ("path", 0.49)):
            value = 0.1 * k**exponent * np.exp(0.02 * noise(seed, k, estimator))
            at = coordinates(k=k, group="encoder")
            yield Row("snr", value, "1", at=at, estimator=estimator)


def exact_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for posterior in ("gaussian", "mixture", "vae_linear", "flow"):
        for dtype, metric, value in (
            ("float64", "path_gradient_max_abs", 1e-14),
            ("float32", "path_gradient_max_rel", 1e-6),
        ):
            yield Row(metric, value, "1", at=coordinates(posterior=posterior, dtype=dtype))
    for parameter in ("mu", "log_s", "cross"):
        yield Row("fisher_relative_error", 0.01, "1", at=coordinates(parameter=parameter))
    for estimator in ("total", "path", "exact_kl", "exact_entropy", "control_variate"):
        yield Row("bias_z_max", 2.2, "1", estimator=estimator)
    for k in (1, 8):
        for estimator, value in (("total", 3.9 / k), ("path", 1e-30), ("dreg", 1e-30)):
            at = coordinates(k=k)
            yield Row("variance_at_optimum", value, "nats^2", at=at, estimator=estimator)
    for k in (1, 4, 16):
        for estimator in ("path", "dreg"):
            z = -60.0 if estimator == "path" and k > 1 else 1.3
            at = coordinates(k=k, point="wrong")
            yield Row("bias_z", z, "1", at=at, estimator=estimator)
    for pair in ("total-path", "total-dreg", "path-dreg"):
        yield Row("agreement_z", 1.1, "1", at=coordinates(pair=pair, k=1))
    for variant, value in (("total", 1.5), ("code", 1.4), ("exact", 1e-30)):
        yield Row("layer1_variance", value, "nats^2", at=coordinates(variant=variant))


def vae_rows(cell: Cell, seed: int) -> Iterator[Row]:
    p = cell.params
    level = 87.0 - p["layers"] + noise(seed, p["dataset"])
    gain = {"total": 0.0, "path": -0.3, "path_code": -0.1}[p["estimator"]]
    value = level + gain + 0.02 * noise(seed, cell.id)
    at = coordinates(binarisation="fixed", samples=p["samples"])
    yield Row("nll", value, "nats/image", "test", at)
    yield Row("nll", value - 1, "nats/image", "train", at)
    if cell.experiment == "training_variance":
        for i in range(9):
            step = round(p["steps"] * i / 8)
            for estimator in ("total", "path"):
                ratio = 1.5 * 0.3 ** (i / 8) if estimator == "path" else 1.0
                value = 50 * ratio * np.exp(0.02 * noise(seed, i, estimator))
                yield Row(
                    "encoder_gradient_variance", value, "nats^2", "", "", estimator, step, "curve"
                )


MAKERS: dict[str, Callable[[Cell, int], Iterator[Row]]] = {
    "gaussian_fit": fit_rows,
    "mixture_fit": mixture_rows,
    "variance_map": map_rows,
    "path_to_truth": truth_rows,
    "snr": snr_rows,
    "exactness": exact_rows,
    "table1": vae_rows,
    "table1_code": vae_rows,
    "training_variance": vae_rows,
}


def make(cell: Cell, seed: int) -> list[Row]:
    if cell.experiment not in MAKERS:  # no claim asks for its rows
        return [Row("seconds", 1.0, "s")]
    return list(MAKERS[cell.experiment](cell, seed))


def judged(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of claims.csv by claim ("landing-B5") or check ("landing-B5.ratio")."""
    names = found["claim"] + ("." + found["check"]).where(found["check"] != "", "")
    return found.set_index(names)


def judge(tmp_path, change=lambda row, cell, seed: row, tier="paper", only=None) -> pd.Series:
    """Verdicts by claim and check; `change` may alter each row, or drop it by returning None."""
    cells = [c for c in grid.expand(STUDY, tier) if only is None or c.experiment in only]

    def changed(cell: Cell, seed: int) -> list[Row]:
        rows = (change(row, cell, seed) for row in make(cell, seed))
        return [row for row in rows if row is not None]

    return judged(evaluate(results(tmp_path, cells, changed, tier), STUDY, FOLDER))["verdict"]


def replace(row: Row, **values: object) -> Row:
    return Row(**{**vars(row), **values})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def true_results(tmp_path_factory):
    root = tmp_path_factory.mktemp("true")
    return results(root, grid.expand(STUDY, "paper"), make)


def test_rows_as_the_theory_has_them_support_every_claim(true_results):
    found = judged(evaluate(true_results, STUDY, FOLDER))
    verdicts = found["verdict"]
    assert verdicts["landing-B11.burda"] == NOT_RUN  # the grid's schedule is not the published one
    others = verdicts.drop("landing-B11.burda")
    assert set(others) == {SUPPORTED}, others[others != SUPPORTED]
    assert {f"landing-B{i}" for i in range(1, 15)} <= set(verdicts.index)
    assert found.loc["landing-B5.ratio", "n"] == 20
    assert found.loc["landing-B11.exceptions", "n"] == 6
    assert found.loc["landing-B11.mean", "ci_high"] < 0


def test_swapped_estimators_contradict_every_claim_that_compares_them(tmp_path):
    def swapped(row, cell, seed):
        if row.estimator:
            return replace(row, estimator=SWAP.get(row.estimator, row.estimator))
        own = cell.params["estimator"]
        if own not in SWAP:
            return row
        other = Cell(**{**vars(cell), "params": {**cell.params, "estimator": SWAP[own]}})
        twins = [r for r in make(other, seed) if (r.metric, r.at) == (row.metric, row.at)]
        return next(r for r in twins if r.split == row.split)

    verdicts = judge(tmp_path, swapped)
    assert {c for c in verdicts.index if verdicts[c] == CONTRADICTED} >= {
        f"landing-{name}" for name in (
            "B4", "B5", "B6", "B7", "B8", "B11", "B11.mean", "B11.exceptions", "B13",
        )
    }  # fmt: skip
    assert verdicts["landing-B9.path"] == NOT_RUN  # no row says "total" there: nothing to judge


WRONG = {
    "B1": ("path_gradient_max_abs", 1e-3),
    "B2": ("fisher_relative_error", 0.2),
    "B3": ("bias_z_max", 30.0),
    "B9": ("bias_z", 30.0),
    "B12": ("layer1_variance", 1e-3),
    "B14": ("agreement_z", -30.0),
}


def test_biased_and_noisy_estimators_are_caught(tmp_path):
    wrong = dict(WRONG.values())
    verdicts = judge(
        tmp_path,
        lambda row, *_: replace(row, value=wrong.get(row.metric, row.value)),
        only={"exactness"},
    )
    names = [f"landing-{name}" for name in WRONG]
    assert dict(verdicts[names]) == dict.fromkeys(names, CONTRADICTED)


def test_a_ratio_that_does_not_change_with_k_contradicts_the_exponents(tmp_path):
    def flat(row, cell, seed):
        return replace(row, value=0.1 * np.exp(0.02 * noise(seed, row.at, row.estimator)))

    verdicts = judge(tmp_path, flat, only={"snr"})
    assert verdicts["landing-B10.standard"] == verdicts["landing-B10.dreg"] == CONTRADICTED
    assert verdicts["landing-B10"] == CONTRADICTED


@pytest.mark.parametrize(("worse", "expected"), [(2, SUPPORTED), (3, CONTRADICTED)])
def test_two_cells_of_table_1_may_be_worse_and_no_third(tmp_path, worse, expected):
    cells = [c for c in grid.expand(STUDY, "paper") if c.experiment == "table1"]
    bad = {c.id for c in [c for c in cells if c.params["estimator"] == "path"][:worse]}

    def shifted(row, cell, seed):
        shift = 0.8 + 0.02 * noise(seed) if cell.id in bad else 0.0
        return replace(row, value=row.value + shift)

    verdicts = judge(tmp_path, shifted, only={"table1"})
    assert verdicts["landing-B11.exceptions"] == expected


def test_no_claim_survives_numbers_that_are_not_numbers(tmp_path):
    found = judge(tmp_path, lambda row, *_: replace(row, value=float("nan")))
    assert set(found) <= {NOT_RUN, INCONCLUSIVE}


def test_no_claim_about_seeds_is_decided_with_a_seed_missing(tmp_path):
    cells = grid.expand(STUDY, "paper")
    found = results(tmp_path, cells, lambda c, s: None if s == 1 else make(c, s))
    verdicts = judged(evaluate(found, STUDY, FOLDER))["verdict"]
    for claim in ("B5", "B6", "B7", "B10", "B11", "B13"):
        assert verdicts[f"landing-{claim}"] == INCONCLUSIVE, claim


GONE = {
    "B1": lambda row: row.metric == "path_gradient_max_abs" and "flow" in row.at,
    "B4": lambda row: row.metric == "gradient_variance_theory" and "s2=4" in row.at,
    "B8": lambda row: row.metric == "variance_at_optimum" and row.estimator == "dreg",
    "B10": lambda row: row.metric == "snr" and row.at.startswith("k=30,"),
    "B13": lambda row: row.metric == "encoder_gradient_variance" and row.estimator == "total",
}


def test_a_row_that_vanished_leaves_its_claim_open(tmp_path):
    def dropped(row, cell, seed):
        return None if seed == 0 and any(gone(row) for gone in GONE.values()) else row

    verdicts = judge(tmp_path, dropped)
    for claim in GONE:
        assert verdicts[f"landing-{claim}"] == INCONCLUSIVE, claim


def test_the_published_levels_are_judged_only_after_the_full_schedule(tmp_path):
    whole = {"lr": {"schedule": "burda", "stages": 8}, "steps": 9_774_400}
    cells = [
        Cell(**{**vars(c), "params": {**c.params, **whole}})
        for c in grid.expand(STUDY, "paper")
        if c.experiment == "table1"
    ]
    reported = pd.read_csv(FOLDER / "reported.csv")
    burda = reported[reported["id"].str.startswith("burda2016-")]

    def level(shift):
        def rows(cell, seed):
            p = cell.params
            same = (burda["dataset"] == p["dataset"]) & (burda["layers"] == p["layers"])
            same &= (burda["objective"] == p["objective"]) & (burda["k"] == p["k"])
            value = burda[same]["value"].iloc[0] + shift + 0.01 * noise(seed, cell.id)
            at = coordinates(binarisation="fixed", samples=5000)
            return [Row("nll", value, "nats/image", "test", at)]

        return rows

    for shift, expected in ((0.1, SUPPORTED), (3.0, CONTRADICTED)):
        found = results(tmp_path / str(shift), cells, level(shift))
        row = judged(evaluate(found, STUDY, FOLDER)).loc["landing-B11.burda"]
        assert row["verdict"] == expected
        assert row["estimate"] == pytest.approx(shift, abs=0.05)


def test_without_rows_every_claim_is_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    assert set(evaluate(load(tmp_path / "out"), STUDY, FOLDER)["verdict"]) == {NOT_RUN}


@pytest.mark.parametrize("tier", grid.TIERS)
def test_every_check_finds_its_cells_or_says_not_run(tmp_path, tier):
    verdicts = judge(tmp_path, tier=tier)
    assert CONTRADICTED not in set(verdicts)
    for claim in ("B1", "B2", "B3", "B4", "B8", "B9", "B12", "B14"):
        assert verdicts[f"landing-{claim}"] == SUPPORTED, claim


def test_published_rows_give_the_verdicts_of_an_independent_computation():
    """B5 and B11 by pandas and scipy alone."""
    published = load(PUBLISHED)
    found = judged(evaluate(published, STUDY, FOLDER))
    rows = published.metrics[published.metrics["study"] == STUDY]
    fits = rows[rows["metric"] == "kl_last100"]
    path, total = (
        fits[fits["cell"] == f"gaussian_fit-{name}-adam"].set_index("seed")["value"]
        for name in ("path", "total")
    )
    ratio = np.log(path / total)
    p = 2 * stats.ttest_1samp(ratio, np.log(0.01), alternative="less").pvalue
    check = found.loc["landing-B5.ratio"]
    assert check["estimate"] == pytest.approx(ratio.mean())
    assert check["p_support"] == pytest.approx(p, rel=0.01)  # the log of 0.01 is written as -4.605

    wanted = (rows["experiment"] == "table1") & (rows["metric"] == "nll")
    wanted &= (rows["split"] == "test") & rows["at"].str.contains("binarisation=fixed")
    nll = rows[wanted].assign(pair=rows["cell"].str.rpartition("-")[0])
    wide = nll.pivot_table(index="pair", columns=["estimator", "seed"], values="value")
    gain = wide["path"] - wide["total"]
    assert gain.shape == (20, 3)
    each = 2 * stats.ttest_1samp(gain, 0.1, axis=1, alternative="less").pvalue
    assert found.loc["landing-B11.mean", "estimate"] == pytest.approx(gain.to_numpy().mean())
    assert found.loc["landing-B11.exceptions", "p_support"] == pytest.approx(3 * np.sort(each)[17])
    assert found.loc["landing-B5", "verdict"] == SUPPORTED
    assert found.loc["landing-B11", "verdict"] == INCONCLUSIVE


def test_claims_name_figures_that_the_study_draws():
    known = registry.keys(FOLDER / "figures.py", "FIGURES")
    claims = load_claims(FOLDER / "claims.yaml", STUDY)
    assert {name for claim in claims for name in claim.figure.split()} <= set(known)


def test_tables_are_rendered_from_true_and_from_no_rows(true_results, tmp_path):
    render_study(STUDY, true_results.root, tmp_path / "full")
    table = pd.read_csv(tmp_path / "full" / f"{STUDY}_table1.csv", keep_default_na=False)
    assert list(table["layers"]) == [1, 1, 1, 2, 2, 2]
    assert list(table["k"]) == [1, 5, 50] * 2
    assert float(table["mnist VAE path - total"][0]) == pytest.approx(-0.3, abs=0.1)
    assert table["mnist IWAE total"][0] == "= VAE"
    assert table["mnist VAE total, Burda et al."][0] == "86.76 †"
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    render_study(STUDY, tmp_path / "out", tmp_path / "empty")
    names = registry.keys(FOLDER / "tables.py", "TABLES")
    for root in ("full", "empty"):
        written = {path.name for path in (tmp_path / root).iterdir()}
        assert written == {f"{STUDY}_{n}.{s}" for n in names for s in ("csv", "md", "tex")}
    empty = pd.read_csv(tmp_path / "empty" / f"{STUDY}_table1.csv", keep_default_na=False)
    assert set(empty["mnist VAE total"]) == {"not run"}
