"""Tables of "Silent Gradients": rates chosen on validation, pairs by seed, nothing lost unseen."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from paper_repro import grid
from paper_repro.drawing.tables import Estimate
from paper_repro.results.collect import collect
from paper_repro.results.frames import load
from paper_repro.rows import Row
from paper_repro.studies.silent_gradients import methods
from paper_repro.studies.silent_gradients.scores import JUDGED, SETTINGS, cells
from paper_repro.studies.silent_gradients.tables import TABLES
from tests.results.made_runs import cell, results

WINDOW = {"schedule": "linear", "from": 1, "to": 0, "start": 0.05, "end": 0.2}
LATE = {**WINDOW, "start": 0.3, "end": 0.8}
FIXED = {
    "dataset": "digits",
    "latent": "gaussian",
    "dim": 8,
    "k": 1,
    "likelihood_options": {"variance": 0.1},
}
LEARNED = {
    "dataset": "digits",
    "latent": "gaussian",
    "dim": 8,
    "k": 1,
    "likelihood": "gaussian_pixel",
    "lr": 0.001,
}


def guided(alpha, second="exact_kl", **changed):
    options = {"first": "silent", "second": second, "alpha": alpha}
    form = {"guide": "linear", "variance_form": "EXP"}
    return {**LEARNED, **form, "estimator": "annealed", "estimator_options": options, **changed}


def made(experiment, name, params, **other):
    return cell(experiment, name, study="silent_gradients", **other, **params)


def scored(metric, test, validation, train=0.0, at="", marks=()):
    """Rows of one run: a score at the end and, (step, test, validation), at marks."""
    unit = "bits/dim" if metric == "bits_per_dim" else "nats/image"
    points = [*marks, (100, test, validation)]
    for step, *values in points:
        for split, value in zip(("test", "validation"), values, strict=True):
            kind = "final" if step == 100 else "curve"
            yield Row(metric, value, unit, split, at, step=step, kind=kind)
    yield Row(metric, train, unit, "train", at)


def closed(test, validation, train=0.0, marks=()):
    yield from scored("elbo", test, validation, train, "estimate=closed_form", marks)
    yield Row("elbo", test - 7, "nats/image", "test", "samples=16")  # another, which no table wants


def sampled(test, validation, marks=()):
    yield from scored("bits_per_dim", test, validation, at="samples=16", marks=marks)
    at = "likelihood=refitted,samples=16"
    yield Row("bits_per_dim", test + 1, "bits/dim", "test", at)
    yield Row("bits_per_dim", validation - 9, "bits/dim", "validation", at)


def entries(table, **wanted):
    """The one row of a table with these entries, by column."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    found = [row for row in rows if all(str(row[k]) == v for k, v in wanted.items())]
    assert len(found) == 1, (wanted, rows)
    return found[0]


def collected(root, runs):
    """Results of {name: (experiment, params, rows of a seed)}."""
    named = [made(experiment, name, p) for name, (experiment, p, _) in runs.items()]
    return results(root, named, lambda one, seed: runs[one.id][2](seed))


def e1_run(estimator, lr, score):
    return "fixed_variance", {**FIXED, "estimator": estimator, "lr": lr}, score


@pytest.fixture(scope="module")
def e1(tmp_path_factory):
    """E1 with two rates: silent's validation score prefers 0.001, its test score 0.003. At 0.003
    reparam is best, but for a run that diverged. Seeds differ by 10 nats, the same for all."""

    def silent(seed):
        marks = [(5, -40 + 10 * seed, -50 + 10 * seed), (20, -30 + 10 * seed, -19 + 10 * seed)]
        yield from closed(-10 + 10 * seed, -11 + 10 * seed, train=20.0, marks=marks)
        yield Row("mse", 0.25, "mse/pixel", "test", "z=mean")
        yield Row("mse", 0.75, "mse/pixel", "test", "z=sampled")

    def reparam(seed):
        return closed(-10 - 64 * (1 + 0.1 * seed) + 10 * seed, -20 + 10 * seed)

    def ceiling(seed):
        for images, top in (("evaluated", 30.0), ("all", 90.0)):
            at = f"variance=0.1,images={images}"
            yield Row("ceiling_empty", -20.0, "nats/image", "train", at)
            for dim, value in ((8, top), (16, 80.0)):
                here = f"variance=0.1,dim={dim},images={images}"
                yield Row("ceiling_elbo", value, "nats/image", "train", here)

    runs = {
        "silent-low": e1_run("silent", 0.001, silent),
        "silent-high": e1_run("silent", 0.003, lambda seed: closed(5, -12 + 10 * seed)),
        "reparam-low": e1_run("exact_kl", 0.001, reparam),
        "reparam-high": e1_run(
            "exact_kl", 0.003, lambda seed: "diverged" if seed == 2 else closed(0, 0)
        ),
        "ceiling": ("ceiling", {"dataset": "digits"}, ceiling),
    }
    return collected(tmp_path_factory.mktemp("e1"), runs)


def test_learning_rates_are_chosen_on_validation_images(e1):
    silent = entries(TABLES["t1_fixed_variance"](e1), method="silent")
    assert silent["learning rate"] == "0.001"
    assert silent["ELBO (nats/image)"].mean == pytest.approx(0.0)


def test_no_rate_is_chosen_at_which_a_run_diverged(e1):
    assert entries(TABLES["t1_fixed_variance"](e1), method="reparam")["learning rate"] == "0.001"
    every = entries(TABLES["t8_hyperparameters"](e1), method="reparam")
    assert (every["lr 0.003"].n, every["lr 0.003"].lost) == (2, 1)
    assert every["chosen on validation"] == "0.001"


def test_nominal_bits_are_those_of_256_grey_levels(e1):
    silent = entries(TABLES["t1_fixed_variance"](e1), method="silent")
    assert silent["nominal bits/dim"].mean == pytest.approx(8.0)  # 0 nats in 64 pixels


def test_differences_are_paired_over_seeds(e1):
    found = entries(TABLES["t1_fixed_variance"](e1), method="reparam")["bits/dim - silent"]
    assert found.mean == pytest.approx(1.1 / math.log(2))  # 64 nats more, (1 + seed / 10)-fold
    spread = 0.1 / math.log(2) / math.sqrt(3) * 4.302652729911275  # not the seeds' own spread
    assert found.half_width == pytest.approx(spread)


def test_errors_of_gaussian_latents_are_those_at_the_mean(e1):
    assert entries(TABLES["t1_fixed_variance"](e1), method="silent")["MSE"].mean == 0.25


def test_the_ceiling_is_that_of_the_images_latents_and_variance_of_the_run(e1):
    silent = entries(TABLES["t1_fixed_variance"](e1), method="silent")
    assert silent["training ELBO below ceiling (nats/image)"].mean == pytest.approx(10.0)
    assert silent["gap closed"].mean == pytest.approx(0.8)


def test_silent_is_as_good_at_the_first_mark_that_reaches_the_others_end(e1):
    reparam = entries(TABLES["t1_fixed_variance"](e1), method="reparam")
    assert reparam["silent as good after (of its run)"].mean == pytest.approx(0.2)
    assert reparam["seconds of silent / own"].mean == pytest.approx(0.2)
    cost = entries(TABLES["t9_cost"](e1), method="reparam")
    assert cost["as good as the reference after (of its run)"] == "never in 3 of 3"
    assert cost["time per step / reference's"].mean == pytest.approx(1.0)
    assert cost["ms / step"].mean == pytest.approx(20.0)


@pytest.fixture(scope="module")
def e2(tmp_path_factory):
    """E2: with silent gradients the last step is worse, the best checkpoint better. A late window
    turns the first verdict; the form SQ lost a run."""

    def run(late, early, seed):
        base = seed + 0.01 * seed * (late - 4)
        return sampled(late + base, late + base, [(20, early + base, early + base), (50, 9, 9)])

    def baseline(seed):
        return sampled(
            4 + seed, 4 + seed, [(20, 4.4 + seed, 3.8 + seed), (50, 3.5 + seed, 3.9 + seed)]
        )

    silent = ("learned_variance", guided(WINDOW), lambda seed: run(4.2, 3.0, seed))
    square = ("guide_form", guided(WINDOW, variance_form="SQ"))

    def alone(seed):
        yield from sampled(5.0 + seed, 5.0)
        yield Row("bits_per_dim", 4.0 + seed, "bits/dim", "test", "estimate=closed_form")

    linear = {**LEARNED, "decoder": "linear", "estimator": "silent", "variance_form": "EXP2"}
    runs = {
        "baseline": ("learned_variance", {**LEARNED, "estimator": "exact_kl"}, baseline),
        "silent": silent,
        "only": ("learned_variance", guided(1), lambda seed: sampled(7 + 1.1 * seed, 7)),
        "late": ("annealing", guided(LATE), lambda seed: run(3.8, 3.0, seed)),
        "square": (*square, lambda seed: None if seed else sampled(3, 3)),
        "alone": ("variance_form", linear, alone),
    }
    return collected(tmp_path_factory.mktemp("e2"), runs)


def test_checkpoints_are_chosen_on_validation_images(e2):
    baseline = entries(TABLES["t2_continuous"](e2), method="reparam")
    assert baseline["bits/dim, last step"].mean == pytest.approx(5.0)
    assert baseline["bits/dim, best checkpoint"].mean == pytest.approx(5.4)
    assert baseline["difference, last"] == "—"


def test_scores_are_those_of_the_models_own_likelihood_by_sampling(e2):
    only = entries(TABLES["t2_continuous"](e2), method="silent only")
    assert only["bits/dim, last step"].mean == pytest.approx(8.1)  # refitted: one bit more


def test_guided_methods_are_compared_with_what_they_anneal_to(e2):
    silent = entries(TABLES["t2_continuous"](e2), method="reparam + silent")
    assert silent["difference, last"].mean == pytest.approx(0.2 + 0.01 * 0.2)
    assert silent["difference, best"].mean == pytest.approx(-1.4 + 0.01 * 0.2)
    assert silent["difference after 20%"].mean == pytest.approx(-1.4 + 0.01 * 0.2)
    assert silent["difference after 5%"] == "not run"  # there is no such mark
    only = entries(TABLES["t2_continuous"](e2), method="silent only")
    assert only["difference, last"].mean == pytest.approx(3.1)
    assert not TABLES["t3_discrete"](e2).rows[0].count("reparam")


def test_windows_are_judged_against_the_runs_of_e2(e2):
    table = TABLES["t5_annealing"](e2)
    usual = entries(table, window="linear 0.05-0.2")
    assert (usual["verdict, last"], usual["verdict, best"]) == ("higher", "lower")
    assert usual["as usual"] == "usual"
    late = entries(table, window="linear 0.3-0.8")
    assert (late["verdict, last"], late["verdict, best"]) == ("lower", "lower")
    assert late["as usual"] == "no"
    assert entries(table, window="constant 1")["verdict, last"] == "higher"


def test_forms_of_the_variance_stand_alone_and_as_guides(e2):
    table = TABLES["t7_variance_form"](e2)
    alone = entries(table, **{"linear decoder": "alone"})
    assert alone["form"] == "EXP2"
    assert alone["bits/dim, closed form"].mean == pytest.approx(5.0)
    assert alone["bits/dim, last step"].mean == pytest.approx(6.0)
    usual = entries(table, **{"linear decoder": "guide", "form": "EXP"})
    assert usual["as usual"] == "usual"
    square = entries(table, **{"linear decoder": "guide", "form": "SQ"})
    assert (square["difference, last"].n, square["difference, last"].lost) == (1, 2)
    assert (square["verdict, last"], square["as usual"]) == ("undecided", "no")


def test_a_diverged_method_keeps_its_row(tmp_path):
    runs = {
        "reinforce": (
            "learned_variance",
            {**LEARNED, "latent": "bernoulli", "estimator": "reinforce"},
            lambda seed: "diverged",
        )
    }
    row = entries(TABLES["t3_discrete"](collected(tmp_path, runs)), method="REINFORCE")
    assert row["bits/dim, last step"] == row["bits/dim, best checkpoint"] == "diverged"
    assert row["learning rate"] == "none complete"


def test_gradient_statistics_stand_per_estimator_and_mark(tmp_path):
    def rows(seed):
        for step, kind in ((0, "curve"), (50, "curve"), (100, "final")):
            for name, trace in (("silent", 0.0), ("rloo", 4.0 + step + seed)):
                more = {"estimator": name, "step": step, "kind": kind}
                for metric in ("relative_variance", "relative_bias", "cosine"):
                    at = "exact=closed_form"
                    yield Row(f"encoder_gradient_{metric}", trace, "1", "train", at, **more)

    params = {**FIXED, "estimator": "silent", "lr": 0.001}
    table = TABLES["t4_gradients"](collected(tmp_path, {"g": ("gradients", params, rows)}))
    assert [row[3:5] for row in table.rows] == [
        *[["silent", mark] for mark in ("0%", "50%", "100%")],
        *[["RLOO", mark] for mark in ("0%", "50%", "100%")],
    ]
    last = entries(table, estimator="RLOO", progress="100%")
    assert last["variance / |exact|²"] == Estimate(105.0, pytest.approx(2.484, rel=1e-3), 3)
    assert last["sampling error of the bias"] == "not run"


def test_latent_sizes_stand_beside_e1_where_rate_and_steps_agree(tmp_path):
    small, other = {**FIXED, "dim": 4, "lr": 0.001}, {**FIXED, "lr": 0.003}
    runs = {
        "small": ("latent_size", {**small, "estimator": "silent"}, lambda s: closed(-8 - s, 0)),
        "small-r": ("latent_size", {**small, "estimator": "exact_kl"}, lambda s: closed(-9, 0)),
        "usual": e1_run("silent", 0.001, lambda s: closed(-1, 0)),
        "other": ("fixed_variance", {**other, "estimator": "silent"}, lambda s: closed(-1, 0)),
    }
    table = TABLES["t6_latent_size"](collected(tmp_path, runs))
    assert [row[3:6] for row in table.rows] == [
        ["4", "silent", "0.001"],
        ["4", "reparam", "0.001"],
        ["8", "silent", "0.001"],
    ]
    found = entries(table, method="reparam")["bits/dim - silent"]
    assert found.mean == pytest.approx(0.0, abs=1e-12)


def planned(tier, root):
    """Results of a tier of which nothing has run."""
    collect(grid.expand("silent_gradients", tier, 0), root / "runs", root / "out", tier)
    return load(root / "out")


def test_every_table_says_not_run_before_anything_ran(tmp_path):
    found = planned("quick", tmp_path)
    for name, function in TABLES.items():
        table = function(found)
        assert table.rows, name
        assert not any(isinstance(entry, Estimate) for row in table.rows for entry in row), name
        assert all(len(row) == len(table.columns) for row in table.rows), name


def test_names_and_settings_tell_the_cells_of_the_grid_apart(tmp_path):
    found = planned("paper", tmp_path)
    for experiment in JUDGED:
        names = [*SETTINGS, "family", "method", "baseline", "window"]
        assert not cells(found, experiment).duplicated(names).any(), experiment


def test_tables_of_an_empty_folder_say_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    for function in TABLES.values():
        assert set(map(str, function(load(tmp_path / "out")).rows[0])) == {"not run"}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"estimator": "exact_kl", "k": 1}, "reparam"),
        ({"estimator": "exact_kl", "k": 4}, "reparam K=4"),
        ({"estimator": "rloo", "k": 2}, "RLOO"),
        ({"estimator": "rloo", "k": 4}, "RLOO K=4"),
        ({"estimator": "rloo", "cell_estimator": "silent", "k": 1}, "RLOO"),
        ({"estimator": "annealed", "second": "reinforce", "alpha": 1}, "silent only"),
        ({"estimator": "annealed", "second": "reinforce", "alpha": 0}, "REINFORCE"),
        ({"estimator": "annealed", "second": "reinforce", "alpha.from": 1}, "REINFORCE + silent"),
        (
            {"estimator": "annealed", "second": "exact_kl", "alpha": 0.5},
            "reparam + silent, weight 0.5",
        ),
        ({"estimator": "gumbel_softmax_st"}, "Gumbel-Softmax ST"),
        ({"estimator": "something_new"}, "something new"),
    ],
)
def test_methods_have_the_names_of_the_field(settings, name):
    options = ("second", "alpha", "alpha.from")
    row = {f"estimator_options.{k}" if k in options else k: v for k, v in settings.items()}
    frame = pd.DataFrame([{"cell_estimator": settings["estimator"], **row}], index=[7])
    assert list(methods.label(frame).items()) == [(7, name)]


def test_methods_are_shown_in_the_order_of_the_paper():
    names = ["silent only", "REINFORCE", "reparam K=16", "reparam", "silent", "reparam + silent"]
    ordered = sorted(names, key=lambda name: methods.order("Gaussian", name))
    assert ordered == [
        *("silent", "reparam", "reparam + silent", "reparam K=16", "REINFORCE", "silent only"),
    ]
    assert methods.order("Gaussian", "silent only") < methods.order("Bernoulli", "silent")
