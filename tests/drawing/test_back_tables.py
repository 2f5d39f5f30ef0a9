"""Tables of "There and Back Again": pairs by seed, nothing lost unseen, cut short where it is."""

from __future__ import annotations

import math

import pytest

from paper_repro import grid
from paper_repro.drawing.tables import Estimate
from paper_repro.results.collect import collect
from paper_repro.results.frames import load
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again import tables_derived
from paper_repro.studies.there_and_back_again.tables import TABLES
from tests.results.made_runs import cell, curve, results
from tests.studies.there_and_back_again.back_runs import STUDY

RATE = {"lr": {"schedule": "cosine", "from": 0.003, "to": 1e-5}}
SHARED = {**RATE, "preprocessing": "dequantised", "importance_samples": 500}
SHARED |= {"importance_images": 50, "hessian_images": 50}
VAE = {**SHARED, "objective": "elbo", "likelihood": "gaussian_channel"}
BAGGINS = {**SHARED, "objective": "elbo", "likelihood": "baggins"}
BILBO = {**VAE, "objective": "bilbo", "latent_options": {"scale": 1.0}}
FITTED = {**VAE, "objective": "bilbo"}
HEAD = {**VAE, "likelihood": "gaussian_pixel"}


def collected(root, runs):
    """Results of (experiment, params, rows of a seed), called by their numbers."""
    made = [cell(e, f"{e}-{i}", study=STUDY, **p) for i, (e, p, _) in enumerate(runs)]
    return results(root, made, lambda one, seed: runs[int(one.id.split("-")[-1])][2](seed))


def entries(table, **wanted):
    """The one row of a table with these entries, by column."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    found = [row for row in rows if all(str(row[k]) == v for k, v in wanted.items())]
    assert len(found) == 1, (wanted, rows)
    return found[0]


def bounds(elbo, pixels, common=0.0, rate=5.0):
    """Rows of one run's test images under both evaluations."""
    for name, value in (("native", elbo), ("common", elbo + common)):
        at = f"evaluation={name}"
        for metric, number in (
            ("elbo", value),
            ("rate", rate),
            ("distortion", -value - rate),
            ("iwae", value + 3),
            ("gap", 2.0),
        ):
            yield Row(metric, number, "nats/image", "test", at)
        yield Row("elbo_per_value", value / pixels, "nats/value", "test", at)
        yield Row("bits_per_dim", 4.0, "bits/dim", "test", at)


@pytest.fixture(scope="module")
def e1(tmp_path_factory):
    """Seeds differ by 100 nats, the same for all methods; BILBO and the fitted prior diverged with
    one of them. MNIST's VAE gains 2 nats from twice the steps, CIFAR-10's 20."""

    def of(dataset, params, add, pixels, **changed):
        sets = {**params, "dataset": dataset, **changed}
        return sets, lambda seed: list(bounds(100.0 * seed + add, pixels, common=-1.0))

    def failing(seed):
        return "diverged" if seed == 2 else list(bounds(100.0 * seed + 7.84, 784, common=-1.0))

    return collected(
        tmp_path_factory.mktemp("e1"),
        [
            ("elbo", *of("mnist", VAE, 0.0, 784)),
            ("elbo", {**BILBO, "dataset": "mnist"}, failing),
            ("elbo", {**FITTED, "dataset": "mnist"}, failing),
            ("elbo", *of("cifar10", VAE, 0.0, 3072)),
            ("twice", *of("mnist", VAE, 2.0, 784, steps=200)),
            ("twice", *of("cifar10", VAE, 20.0, 3072, steps=200)),
            ("bernoulli", *of("mnist", {**VAE, "likelihood": "bernoulli",
                                        "preprocessing": "binarised"}, -90.0, 784)),
        ],
    )  # fmt: skip


def test_a_data_set_whose_vae_has_not_arrived_is_labelled(e1):
    table = TABLES["elbo"](e1)
    assert [row[:2] for row in table.rows] == [
        ["MNIST", "VAE"],
        ["MNIST", "fitted prior"],
        ["MNIST", "BILBO"],
        ["CIFAR-10 (cut short)", "VAE"],
        ["MNIST, binarised", "VAE"],
    ]
    said = " ".join(table.notes)
    assert "MNIST 2 ± 0 (at most 3)" in said
    assert "CIFAR-10 20 ± 0 (at most 15.4, so cut short)" in said


def test_bounds_are_those_of_the_evaluation(e1):
    native = entries(TABLES["elbo"](e1), **{"data set": "MNIST", "method": "VAE"})
    common = entries(TABLES["elbo_common"](e1), **{"data set": "MNIST", "method": "VAE"})
    assert native["ELBO (nats/image)"].mean == pytest.approx(100.0)
    assert common["ELBO (nats/image)"].mean == pytest.approx(99.0)
    assert native["distortion (nats/image)"].mean == pytest.approx(-105.0)
    binarised = entries(TABLES["elbo"](e1), **{"data set": "MNIST, binarised", "method": "VAE"})
    assert binarised["bits/dim"] == "—"
    assert "500 importance samples, of the first 50" in " ".join(TABLES["elbo"](e1).notes)


def test_methods_are_compared_in_pairs_and_a_lost_run_counts_once(e1):
    table = TABLES["elbo_differences"](e1)
    row = entries(table, **{"data set": "MNIST", "method": "BILBO"})
    found = row["ELBO - VAE, native"]
    assert (found.n, found.lost) == (2, 1)
    assert found.mean == pytest.approx(0.01)
    assert found.half_width == pytest.approx(0.0, abs=1e-9)
    both = row["ELBO - fitted prior, native"]
    assert (both.mean, both.n, both.lost) == (0.0, 2, 1)
    own = entries(table, **{"data set": "MNIST", "method": "VAE"})
    assert own["ELBO - VAE, native"] == "—"


def test_units_are_compared_with_one(tmp_path):
    def run(unit, slope):
        def rows(seed):
            value = 1.0 + seed + slope * math.log10(unit)
            yield Row("elbo_per_value", value, "nats/value", "test", "evaluation=native")

        return rows

    def of(params, slope):
        units = (1 / 255, 1, 255)
        sets = {**params, "dataset": "mnist"}
        return [("units", {**sets, "units": unit}, run(unit, slope)) for unit in units]

    table = TABLES["scale"](collected(tmp_path, [*of(VAE, 1.0), *of(BAGGINS, 0.0)]))
    assert [row[1:3] for row in table.rows] == [
        *(["VAE", c] for c in ("1/255", "1", "255")),
        *(["BAGGINS", c] for c in ("1/255", "1", "255")),
    ]
    learned = entries(table, method="VAE", c="255")
    assert learned["difference to c = 1"].mean == pytest.approx(math.log10(255))
    assert entries(table, method="VAE", c="1")["difference to c = 1"] == "—"
    bounded = entries(table, method="BAGGINS", c="1/255")
    assert bounded["difference to c = 1"].mean == pytest.approx(0.0, abs=1e-12)


def test_a_network_without_a_used_latent_has_no_error(tmp_path):
    def rows(used):
        for split in ("train", "test"):
            for z in ("mean", "sampled"):
                error = 0.25 if used else math.nan
                yield Row("variance_error", error, "1", split, f"z={z}")
                yield Row("curvature_penalty", 2.0, "nats/image", split, f"z={z}")
                yield Row("used", float(used), "1", split, f"z={z}")

    sets = {"dataset": "mnist"}
    runs = [
        ("elbo", {**VAE, **sets}, lambda seed: rows(5)),
        ("elbo", {**BILBO, **sets}, lambda seed: rows(0)),
        ("elbo", {**BAGGINS, **sets}, lambda seed: rows(5 * (seed > 0))),
    ]
    table = TABLES["hessian"](collected(tmp_path, runs))
    assert entries(table, method="VAE", images="test")["error, over draws"].mean == 0.25
    none = entries(table, method="BILBO", images="train")
    assert (none["error, at the mean"], none["latents used"].mean) == ("—", 0.0)
    some = entries(table, method="BAGGINS", images="train")["error, at the mean"]
    assert (some.n, some.lost) == (2, 1)


def test_outputs_are_shares_of_the_network_with_both_variances(tmp_path):
    def counted(encoder, decoder, *parameters):
        def rows(seed):
            yield Row("encoder_outputs", encoder, "1")
            yield Row("decoder_outputs", decoder, "1")
            for part, count in zip(("encoder", "decoder", "likelihood"), parameters, strict=False):
                yield Row("parameters", count, "1", at=f"part={part}")

        return rows

    sets = {"dataset": "mnist"}
    runs = [
        ("elbo", {**HEAD, **sets}, counted(32, 1568, 500, 1500)),
        ("elbo", {**BILBO, **sets}, counted(16, 784, 400, 799, 1)),
    ]
    row = entries(TABLES["outputs"](collected(tmp_path, runs)), method="BILBO")
    assert (row["encoder outputs, share"], row["decoder outputs, share"]) == ("0.500", "0.500")
    assert (row["parameters"], row["parameters, share"]) == ("1,200", "0.600")


def test_the_largest_gradient_is_relative_to_the_median_of_its_run(tmp_path):
    def run(norms):
        def rows(seed):
            yield from curve("grad_decoder", norms(seed), 10, split="train")
            yield from curve("grad_z", [1.0] * 10, 10, split="train")
            for channel, value in enumerate((0.1, 0.3)):
                at = f"evaluation=native,channel={channel}"
                yield Row("gamma", value, "mse/pixel", "train", at)
            yield Row("mse", 0.1, "mse/pixel", "train", "z=sampled")

        return rows

    sets = {"dataset": "mnist_few", "curve_points": 10}

    def wild(seed):
        return [10.0 ** (seed + 1), *[1.0] * 9]

    runs = [
        ("memorising", {**VAE, **sets}, run(wild)),
        ("memorising", {**BAGGINS, **sets}, run(lambda seed: [8.0] * 5 + [2.0] * 5)),
        ("memorising", {**BILBO, **sets}, run(lambda seed: [math.inf if seed else 4, *[1.0] * 9])),
    ]
    table = TABLES["memorising"](collected(tmp_path, runs))
    learned = entries(table, method="VAE")
    assert learned["decoder, largest / median"] == "100"
    assert learned["decoder, ln of it"].mean == pytest.approx(math.log(100))
    assert learned["gamma"] == Estimate(pytest.approx(0.2), 0.0, 3)
    # the median of an even number of norms, not of their logarithms
    assert entries(table, method="BAGGINS")["decoder, largest / median"] == "1.6"
    broken = entries(table, method="BILBO")["decoder, ln of it"]
    assert (broken.n, broken.lost) == (1, 2)


def test_the_sweep_of_bits_has_the_run_of_e1_that_is_like_it(tmp_path):
    def run(gamma):
        def rows(seed):
            yield from bounds(10.0 + seed, 784)
            yield Row("gamma", gamma, "mse/pixel", "train", "evaluation=native")
            yield Row("information", 2.0, "bits/dim", "train", "evaluation=native")
            yield Row("mse", 0.1, "mse/pixel", "train", "z=sampled")

        return rows

    base = {**BAGGINS, "dataset": "mnist"}

    def swept(variant, bits):
        return {**base, "likelihood_options": {"variant": variant, "bits": bits}}

    runs = [
        ("bits", swept("C", 4), run(0.4)),
        ("bits", swept("A", 2), run(0.3)),
        ("elbo", base, lambda seed: "diverged" if seed else list(run(0.2)(0))),
        ("elbo", {**base, "steps": 500}, run(0.9)),
        ("elbo", {**base, "lr": {**RATE["lr"], "from": 0.01}}, run(0.9)),
        ("elbo", {**VAE, "dataset": "mnist"}, run(0.9)),
    ]
    table = TABLES["bits"](collected(tmp_path, runs))
    assert [row[1:3] for row in table.rows] == [["A", "2"], ["A", "8"], ["C", "4"]]
    usual = entries(table, variant="A", **{"bound (bits)": "8"})
    assert (usual["gamma"].mean, usual["gamma"].n, usual["gamma"].lost) == (0.2, 1, 2)


def test_the_choice_of_rates_is_said(tmp_path):
    def run(value):
        def rows(seed):
            yield Row("elbo_per_value", value, "nats/value", "validation", "evaluation=native")

        return rows

    def at(lr):
        return {**VAE, "dataset": "mnist", "lr": {**RATE["lr"], "from": lr}}

    runs = [
        ("learning_rates", at(0.003), run(1.0)),
        ("learning_rates", at(0.01), run(1.5)),
        ("learning_rates", at(0.03), lambda seed: "diverged"),
        ("elbo", at(0.003), lambda seed: list(bounds(0.0, 784))),
    ]
    table = TABLES["learning_rates"](collected(tmp_path, runs))
    assert [row[1:] for row in table.rows] == [
        ["0.003", "1.0000", "1.0000", "in E1"],
        ["0.01", "1.5000", "1.5000", "chosen"],
        ["0.03", "diverged", "out", "—"],
    ]


@pytest.mark.parametrize("tier", ["quick", "reduced"])
def test_tables_are_no_wider_than_a_page_and_say_not_run_before_anything_ran(tmp_path, tier):
    collect(grid.expand(STUDY, tier), tmp_path / "runs", tmp_path / "out", tier)
    found = load(tmp_path / "out")
    for name, function in TABLES.items():
        table = function(found)
        assert len(table.columns) <= 8, name
        assert not any(isinstance(entry, Estimate) for row in table.rows for entry in row), name
        assert all(len(row) == len(table.columns) for row in table.rows), name


def test_tables_of_an_empty_folder_say_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    for function in TABLES.values():
        if function is not tables_derived.derived:
            assert set(map(str, function(load(tmp_path / "out")).rows[0])) == {"not run"}
