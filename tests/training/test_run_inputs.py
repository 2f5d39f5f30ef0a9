"""A number that one run takes from another: whose it is, and what it identifies."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from paper_repro import grid, record, run_inputs
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.training.run import train_cell
from tests.test_record import SAID
from tests.vae import tiny

GAMMA = {"likelihood": "gaussian_gamma", "estimator": "exact_kl"}


def expanded(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> list[Cell]:
    """Two learned cells, and two that take their gamma."""
    params = {**tiny.TINY, **GAMMA, "steps": 4}
    dims = {"dim": [2, 3]}
    grid_ = {
        "experiments": {
            "learned": {"task": "vae", "seeds": 2, "params": params, "axes": dims},
            "fixed": {
                "task": "vae",
                "seeds": 2,
                "params": {**params, "gamma": given, "rates": {"likelihood": 0}},
                "axes": {**dims, "batch_size": [4]},
            },
        }
    }
    monkeypatch.setattr(grid, "_grid", lambda study: grid_)
    return grid.expand("sticking_the_landing", "smoke")


def test_the_source_is_the_cell_that_agrees_on_the_axes_of_its_experiment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = expanded(monkeypatch, {"of": "learned", "times": 10})
    assert [run_inputs.source_cell(cell) for cell in cells] == [
        "",
        "",
        "learned-dim2",
        "learned-dim3",
    ]
    wanted = {"of": "learned", "metric": "gamma", "times": 10, "cell": "learned-dim3"}
    assert cells[-1].params["gamma"] == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"of": "learnt"},
            "earlier experiment: 'learnt' is not one of learned; did you mean",
        ),
        (
            {"off": "learned"},
            "gamma: unknown key 'off'; allowed: metric, of, times",
        ),
        ({"times": 2}, "gamma: 'of' is a required property"),
        ({"of": "learned", "times": 0}, "gamma.times: 0 is less than or equal to the minimum of 0"),
        ({"of": "fixed"}, "gamma.of: earlier experiment: 'fixed' is not one of learned"),
    ],
)
def test_a_mistake_is_named_before_anything_trains(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        expanded(monkeypatch, given)
    assert message in str(caught.value)


def test_more_than_one_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = expanded(monkeypatch, {"of": "learned"})
    with pytest.raises(
        UserError, match="expected one earlier cell of learned with the same axis values, found 2"
    ):
        run_inputs.resolve(
            {"gamma": {"of": "learned"}, "dim": 2},
            ("gamma",),
            [(cell, frozenset()) for cell in cells],
            "here",
        )


def test_a_dependent_run_trains_with_the_number_of_its_own_seed_and_is_filed_under_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cells = expanded(monkeypatch, {"of": "learned", "times": 10})
    source, dependent = cells[0], cells[2]
    runs, store = tmp_path / "runs", tmp_path / "store"

    def train(cell: Cell) -> list[dict[str, Any]]:
        train_cell(cell, store, runs / cell.id, runs=runs, device="cpu", threads=1, sources=[])
        found = [runs / cell.id / f"seed{seed}" / "run.json" for seed in cell.seeds]
        return [json.loads(path.read_text()) for path in found]

    with pytest.raises(UserError, match="train cell learned-dim2 first"):
        train(dependent)
    train(source)
    given = [_gamma(runs / source.id / f"seed{seed}" / "metrics.csv") for seed in source.seeds]
    assert given[0] != given[1]
    records = train(dependent)
    assert [record["run_inputs"]["gamma"] for record in records] == [10 * g for g in given]
    for seed, value in enumerate(given):  # at a rate of zero it ends where it began
        ended = _gamma(runs / dependent.id / f"seed{seed}" / "metrics.csv")
        assert ended == pytest.approx(10 * value, rel=1e-6)
    # Another number is another run, the same number the same one.
    path = runs / source.id / "seed0"
    again = train(dependent)
    assert [r["run_id"] for r in again] == [r["run_id"] for r in records]
    found = record.read(path)
    assert found
    table = found.files["metrics.csv"].replace(repr(given[0]).encode(), b"0.5")
    (path / "metrics.csv").write_bytes(table)
    with pytest.raises(
        UserError, match=r"metrics\.csv is damaged .*; train cell learned-dim2 again"
    ):
        train(dependent)
    record.write(path, found.record, {**found.files, "metrics.csv": table})
    moved = train(dependent)
    assert moved[0]["run_id"] != records[0]["run_id"]
    assert moved[1]["run_id"] == records[1]["run_id"]
    # The record still says what the grid asks for, so that collecting recognises it.
    assert moved[0]["cell"]["params"] == json.loads(dependent.as_json())["params"]


def _gamma(path: Path) -> float:
    lines = [line.split(",") for line in path.read_text().splitlines()]
    return [float(line[3]) for line in lines if line[2] == "gamma" and line[7] == "final"][-1]


def test_a_run_that_takes_the_number_of_a_diverged_run_diverges_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dependent = expanded(monkeypatch, {"of": "learned"})[2]
    for seed in dependent.seeds:
        folder = tmp_path / "learned-dim2" / f"seed{seed}"
        head = "split,step,metric,value,unit,at,estimator,kind,status\n"
        table = head + "train,3,loss,nan,nats/image,,,final,diverged\n"
        record.write(folder, {**SAID, "seed": seed}, {"metrics.csv": table.encode()})
    assert math.isnan(run_inputs.with_received_value(dependent, 0, tmp_path).params["gamma"])
    out = tmp_path / dependent.id
    train_cell(dependent, tmp_path / "s", out, runs=tmp_path, device="cpu", threads=1, sources=[])
    assert json.loads((out / "seed1" / "run.json").read_text())["status"] == "diverged"


def test_seeds_that_train_together_keep_a_number_each() -> None:
    problems = [
        tiny.build(seed, **GAMMA, gamma=gamma, rates={"likelihood": 0})
        for seed, gamma in enumerate((0.1, 0.3))
    ]
    live = tiny.steps(tiny.bundle(*problems, stacked=True), 3)
    found = live.params["likelihood.log_gamma"].exp()
    torch.testing.assert_close(found.detach(), torch.tensor([0.1, 0.3]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rates": {"prior": 0}}, r"^rates\.prior: the model has encoder, decoder, likelihood$"),
        ({"rates": {"decodr": 0}}, r"rates: 'decodr' is not one of .*; did you mean 'decoder'\?"),
        ({"gamma": -1}, "gamma: -1 is less than or equal to the minimum of 0"),
        ({"gamma": 2, "likelihood": "gaussian"}, "^gamma: this likelihood has no learned variance"),
    ],
)
def test_gamma_and_rates_that_mean_nothing_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        tiny.build(**GAMMA | changes)
