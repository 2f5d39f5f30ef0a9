"""Seeds that train together get the numbers they get alone, and disturb no one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from paper_repro.cell import Cell
from paper_repro.training.problem import Problem
from tests.training import problems


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adam_burda"])
def test_a_bundle_equals_its_members_alone_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    cell = problems.cell(seeds=(0, 1, 2), optimizer=optimizer, lr=0.01)
    alone = problems.train(cell, tmp_path / "alone")
    bundle = problems.train(cell, tmp_path / "bundle", together=True)
    for seed in cell.seeds:
        assert problems.metrics(bundle, seed) == problems.metrics(alone, seed)
        arrays = [(out / f"seed{seed}" / "arrays.npz").read_bytes() for out in (bundle, alone)]
        assert arrays[0] == arrays[1]


@pytest.mark.parametrize("company", [(0,), (0, 5), (4, 0), (3, problems.DIVERGES, 0, 8)])
def test_a_run_does_not_depend_on_its_company(tmp_path: Path, company: tuple[int, ...]) -> None:
    alone = problems.train(problems.cell(), tmp_path / "alone")
    bundle = problems.train(problems.cell(seeds=company), tmp_path / "bundle", together=True)
    assert problems.metrics(bundle) == problems.metrics(alone)


@pytest.mark.parametrize("together", [False, True])
def test_every_member_reaches_its_own_target(tmp_path: Path, together: bool) -> None:
    cell = problems.cell(steps=1500, seeds=(0, 1))
    out = problems.train(cell, tmp_path, together=together)
    for seed in cell.seeds:
        init = problems.stream(seed, "init", "gaussian")
        target = torch.randn(2, problems.DIMENSIONS, generator=init)[0]
        with np.load(out / f"seed{seed}" / "arrays.npz") as arrays:
            np.testing.assert_allclose(arrays["mean"], target, atol=0.05)


def _network(cell: Cell, seed: int, device: str) -> Problem:
    """Odd sizes and matrix products, for which torch.vmap picks other kernels."""
    problem = problems.fit(cell, seed, device)
    init = problems.stream(seed, "init", "network")
    problem.params["weight"] = torch.randn(7, problems.DIMENSIONS, generator=init).to(device) / 4
    problem.params["out"] = torch.randn(problems.DIMENSIONS, 7, generator=init).to(device) / 4
    loss = problem.loss

    def wider(params, state, batch):  # type: ignore[no-untyped-def]
        hidden = torch.tanh(params["weight"] @ batch["eps"])
        return loss(params, state, {"eps": params["out"] @ hidden + batch["eps"]})

    problem.loss = wider
    return problem


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
        ),
    ],
)
def test_with_matrix_products_equality_is_up_to_rounding(tmp_path: Path, device: str) -> None:
    cell = problems.cell(seeds=(0, 1, 2))
    alone = problems.train(cell, tmp_path / "alone", build=_network, device=device)
    bundle = problems.train(cell, tmp_path / "bundle", build=_network, together=True, device=device)
    for seed in cell.seeds:
        ours, theirs = (_values(problems.metrics(out, seed)) for out in (bundle, alone))
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def _values(table: bytes) -> list[float]:
    return [float(row["value"]) for row in csv.DictReader(io.StringIO(table.decode()))]


@pytest.mark.parametrize("together", [False, True])
def test_divergence_is_a_row_and_a_status_never_an_exception(
    tmp_path: Path, together: bool
) -> None:
    cell = problems.cell(seeds=(0, problems.DIVERGES), curve_points=20)
    out = problems.train(cell, tmp_path, together=together)
    table = problems.metrics(out, problems.DIVERGES).decode().splitlines()
    # Step index 10 is poisoned, so step 11 is the first after it and 12 the first record.
    assert table[-1] == "train,12,loss,nan,nats,,,final,diverged"
    assert all(line.endswith(",ok") for line in table[1:-1])
    record = problems.record(out, problems.DIVERGES)
    assert (record["status"], record["steps"]) == ("diverged", 12)
    assert not (out / f"seed{problems.DIVERGES}" / "arrays.npz").exists()
    assert b"error" in problems.metrics(out, 0)
    assert b"diverged" not in problems.metrics(out, 0)


def test_an_evaluation_between_records_never_sees_a_diverged_run(tmp_path: Path) -> None:
    cell = problems.cell(
        seeds=(problems.DIVERGES,), curve_points=1
    )  # evaluated at 20, recorded at 60
    out = problems.train(cell, tmp_path)
    assert problems.metrics(out, problems.DIVERGES).endswith(
        b"train,20,loss,nan,nats,,,final,diverged\n"
    )


def test_random_numbers_inside_the_loss_are_refused(tmp_path: Path) -> None:
    def build(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        loss = problem.loss
        problem.loss = lambda p, s, b: loss(p, s, {"eps": torch.randn(problems.DIMENSIONS)})
        return problem

    with pytest.raises(RuntimeError, match="random"):
        problems.train(problems.cell(seeds=(0, 1)), tmp_path, build=build, together=True)
