"""The run store: a run is trained once, and again only when something that matters changed."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from paper_repro import atomic
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.training.identity import run_key, source_hash
from paper_repro.training.problem import Problem
from paper_repro.training.store import COLUMNS
from tests.training import problems


class Trained:
    """Builds the small problem and remembers which seeds drew a batch."""

    def __init__(self, fail: int | None = None, fingerprint: str = "none") -> None:
        self.seeds: set[int] = set()
        self.fail, self.fingerprint = fail, fingerprint

    def __call__(self, cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        draw = problem.draw

        def remember(step: int):  # type: ignore[no-untyped-def]
            self.seeds.add(seed)
            if seed == self.fail:
                raise OSError("the job failed")
            return draw(step)

        problem.draw, problem.fingerprint = remember, self.fingerprint
        return problem


def _trained(cell: Cell, folder: Path, **options: object) -> set[int]:
    build = options.pop("build", None) or Trained()
    assert isinstance(build, Trained)
    problems.train(cell, folder, build=build, **options)  # type: ignore[arg-type]
    return build.seeds


@pytest.mark.parametrize("together", [False, True])
def test_adding_seeds_trains_only_the_new_ones(tmp_path: Path, together: bool) -> None:
    assert _trained(problems.cell(seeds=(0, 1)), tmp_path, together=together) == {0, 1}
    assert _trained(problems.cell(seeds=(0, 1, 2)), tmp_path, together=together) == {2}
    assert _trained(problems.cell(seeds=(2, 0)), tmp_path, together=together) == set()


@pytest.mark.parametrize("together", [False, True])
def test_a_run_that_measured_nothing_is_an_error_and_not_a_result(
    tmp_path: Path, together: bool
) -> None:
    def mute(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        loss = problem.loss
        return replace(
            problem,
            loss=lambda *given: (*loss(*given)[:2], {}),
            evaluate=lambda params, state, step: [],
            log_units={},
        )

    for _ in range(2):  # the same command again says the same
        with pytest.raises(UserError, match="seed 0: ended without a row"):
            problems.train(problems.cell(), tmp_path, build=mute, together=together)
    assert not list(tmp_path.rglob("run.json"))


def test_finished_seeds_survive_a_failed_job(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the job failed"):
        _trained(problems.cell(seeds=(0, 1, 2)), tmp_path, build=Trained(fail=1))
    assert (tmp_path / "out/seed0/run.json").is_file()
    assert _trained(problems.cell(seeds=(0, 1, 2)), tmp_path) == {1, 2}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("name", ["run.json", "metrics.csv", "arrays.npz"])
@pytest.mark.parametrize("content", [b"", bytes(300), b"half"])
def test_a_damaged_run_is_named_and_trained_again(
    tmp_path: Path, name: str, content: bytes, together: bool
) -> None:
    cell = problems.cell(seeds=(0, 1))
    assert _trained(cell, tmp_path, together=together) == {0, 1}
    before = [problems.metrics(tmp_path / "out", seed) for seed in cell.seeds]
    run_id = problems.record(tmp_path / "out", 1)["run_id"]
    (entry,) = (tmp_path / "store").glob(f"*/{run_id}*")
    (entry / name).write_bytes(content)
    assert _trained(cell, tmp_path, together=together, log=tmp_path / "log") == {1}
    named = [line for line in (tmp_path / "log").read_text().splitlines() if "damaged" in line]
    assert len(named) == 1
    assert "seed 1  " in named[0]
    assert f"{entry / name} is damaged" in named[0]
    assert named[0].endswith("; training again")
    assert [problems.metrics(tmp_path / "out", seed) for seed in cell.seeds] == before


@pytest.mark.parametrize("made", [lambda path: (path / "inside").mkdir(parents=True), os.mkfifo])
@pytest.mark.parametrize("name", ["run.json", "metrics.csv", "arrays.npz", "checkpoint.pt", "lock"])
def test_what_is_no_file_in_an_entry_is_moved_aside_and_the_run_trained_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, made: Callable[[Path], None]
) -> None:
    out = problems.train(problems.cell(), tmp_path)
    before = problems.metrics(out)
    (entry,) = (path.parent for path in (tmp_path / "store").rglob("run.json"))
    if name in ("checkpoint.pt", "lock"):
        (entry / "run.json").unlink()
    (entry / name).unlink(missing_ok=True)
    made(entry / name)
    assert _trained(problems.cell(), tmp_path) == {0}
    assert problems.metrics(out) == before
    (aside,) = entry.glob(f"{name}.aside-*")
    line = f"paper_repro: warning: {entry / name} is no file; moved into {aside}\n"
    assert capfd.readouterr().err.count(line) == 1
    assert [path.name for path in aside.iterdir()] == [name]
    assert _trained(problems.cell(), tmp_path) == set()


@pytest.mark.parametrize("above", [0, 1])
def test_a_file_in_the_place_of_an_entry_is_moved_aside_and_the_run_trained_again(
    tmp_path: Path, above: int
) -> None:
    out = problems.train(problems.cell(), tmp_path)
    (entry,) = (path.parent for path in (tmp_path / "store").rglob("run.json"))
    place = (entry, entry.parent)[above]
    shutil.rmtree(place)
    place.write_text("a user's own")
    assert _trained(problems.cell(), tmp_path) == {0}
    (aside,) = place.parent.glob(f"{place.name}.aside-*/{place.name}")
    assert aside.read_text() == "a user's own"
    assert problems.record(out)["status"] == "ok"
    assert _trained(problems.cell(), tmp_path) == set()


@pytest.mark.parametrize("name", ["", "run.json", "metrics.csv", "arrays.npz"])
def test_what_is_in_the_way_of_a_copy_is_moved_aside(tmp_path: Path, name: str) -> None:
    out = problems.train(problems.cell(), tmp_path)
    before, place = problems.metrics(out), out / "seed0" / name
    if name:
        place.unlink()
        place.mkdir()
    else:
        shutil.rmtree(place)
        place.touch()
    assert _trained(problems.cell(), tmp_path) == set()
    assert problems.metrics(out) == before
    assert len(list(place.parent.glob(f"{place.name}.aside-*/{place.name}"))) == 1


def test_a_finished_run_is_taken_from_a_store_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trained(problems.cell(), tmp_path)
    written = atomic.write_bytes

    def outside(path: Path, data: bytes) -> None:
        assert tmp_path / "store" not in path.parents
        written(path, data)

    monkeypatch.setattr(atomic, "locked", lambda *_: pytest.fail("asked for a lock"))
    monkeypatch.setattr(atomic, "write_bytes", outside)
    assert _trained(problems.cell(), tmp_path, out="again") == set()
    assert problems.metrics(tmp_path / "again") == problems.metrics(tmp_path / "out")


def test_the_run_of_another_key_is_not_believed(tmp_path: Path) -> None:
    cell = problems.cell(seeds=(0, 1))
    _trained(cell, tmp_path)
    first, second = sorted(path.parent for path in (tmp_path / "store").rglob("run.json"))
    shutil.copytree(first, second, dirs_exist_ok=True)
    assert len(_trained(cell, tmp_path)) == 1


def test_a_run_that_diverged_says_so_when_asked_for_again(tmp_path: Path) -> None:
    cell = problems.cell(seeds=(problems.DIVERGES,))
    _trained(cell, tmp_path)
    _trained(cell, tmp_path, log=tmp_path / "log")
    assert "already trained; it diverged at step 16\n" in (tmp_path / "log").read_text()


def test_what_a_killed_writer_left_behind_is_cleared(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the job failed"):
        _trained(problems.cell(), tmp_path, build=Trained(fail=0))
    (lock,) = (tmp_path / "store").rglob("lock")
    (lock.parent / ".checkpoint.pt.123.tmp").write_bytes(b"half")
    _trained(problems.cell(), tmp_path)
    names = {path.name for path in lock.parent.iterdir()}
    assert names == {"lock", "run.json", "metrics.csv", "arrays.npz"}


def test_editing_a_source_file_trains_again_and_undoing_it_does_not(tmp_path: Path) -> None:
    source = tmp_path / "estimator.py"
    source.write_text("c = 1\n")
    assert _trained(problems.cell(), tmp_path, sources=(source,)) == {0}
    source.write_text("c = 2\n")
    assert _trained(problems.cell(), tmp_path, sources=(source,)) == {0}
    source.write_text("c = 1\n")
    assert _trained(problems.cell(), tmp_path, sources=(source,)) == set()


def test_new_parameters_or_data_train_again_a_new_address_does_not(tmp_path: Path) -> None:
    cell = problems.cell()
    assert _trained(cell, tmp_path) == {0}
    assert _trained(problems.cell(lr=0.01), tmp_path) == {0}
    assert _trained(cell, tmp_path, build=Trained(fingerprint="other")) == {0}
    elsewhere = replace(cell, study="another", id="baseline")
    assert _trained(elsewhere, tmp_path, out="elsewhere") == set()
    assert problems.record(tmp_path / "elsewhere")["cell"]["study"] == "another"
    assert "--cell baseline" in problems.record(tmp_path / "elsewhere")["command"]


def test_the_key_tells_devices_and_seeds_apart_but_not_places(tmp_path: Path) -> None:
    cell = problems.cell()
    keys = {
        run_key(cell, seed, "sources", "data", device)
        for seed in (0, 1)
        for device in ("cpu", "cuda")
    }
    assert len(keys) == 4
    for folder, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").write_text(text)
    (tmp_path / "y.py").write_text("1")
    a, b, c = (source_hash([tmp_path / f / "x.py", tmp_path / "y.py"]) for f in "abc")
    assert a == b != c
    assert a == source_hash([tmp_path / "y.py", tmp_path / "a/x.py"])


def test_the_same_seed_gives_the_same_bytes_in_a_fresh_store(tmp_path: Path) -> None:
    cell = problems.cell(seeds=(3, 4))
    first, second = (problems.train(cell, tmp_path / name) for name in "ab")
    for seed in cell.seeds:
        assert problems.metrics(first, seed) == problems.metrics(second, seed)
    assert problems.metrics(first, 3) != problems.metrics(first, 4)


def test_the_table_of_a_run_is_complete_and_exact(tmp_path: Path) -> None:
    out = problems.train(problems.cell(steps=61), tmp_path)
    table = list(csv.DictReader(io.StringIO(problems.metrics(out).decode())))
    assert tuple(table[0]) == COLUMNS
    curve = [row for row in table if row["metric"] == "elbo"]
    assert [int(row["step"]) for row in curve] == [8, 16, 24, 32, 40, 48, 56, 61]
    assert {row["split"] for row in curve} == {"train"}
    errors = [(row["step"], row["kind"]) for row in table if row["metric"] == "error"]
    assert errors == [("0", "curve"), ("20", "curve"), ("61", "final")]
    assert table[-1]["at"] == "a=1,b=2"
    assert all(repr(float(row["value"])) == row["value"] for row in table)


def test_run_json_says_what_was_run_and_at_what_cost(tmp_path: Path) -> None:
    record = problems.record(problems.train(problems.cell(seeds=(2,)), tmp_path), 2)
    assert record["cell"]["params"]["lr"] == 0.05
    assert (record["seed"], record["steps"], record["status"]) == (2, 60, "ok")
    assert (record["device"], record["threads"], record["fingerprint"]) == ("cpu", 1, "none")
    for key in ("torch", "torchvision", "numpy", "python", "paper_repro", "device_name"):
        assert record[key]
    assert record["seconds"] > 0
    assert record["steps_per_second"] == pytest.approx(60 / record["seconds"])
    assert record["peak_memory_mib"] > 10
    assert record["started"] <= record["finished"]
    assert record["started"].endswith("+00:00")


def test_run_json_says_what_the_data_are_and_the_note_is_no_part_of_the_identity(
    tmp_path: Path,
) -> None:
    def noted(cell: Cell, seed: int, device: str) -> Problem:
        return replace(problems.fit(cell, seed, device), note="a part")

    plain = problems.record(problems.train(problems.cell(), tmp_path / "a"))
    other = problems.record(problems.train(problems.cell(), tmp_path / "b", build=noted))
    assert (plain["data_note"], other["data_note"]) == ("", "a part")
    assert plain["run_id"] == other["run_id"]


def test_a_cell_without_steps_is_only_measured(tmp_path: Path) -> None:
    def build(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        return Problem(
            params={},
            loss=lambda params, state, batch: pytest.fail("no step was asked for"),
            draw=lambda step: pytest.fail("no step was asked for"),
            evaluate=lambda params, state, step: [problems.Row("c_star", 0.1 + 0.2, "1")],
            arrays=problem.arrays and (lambda params: {"grid": problems.torch.arange(3).numpy()}),
        )

    for together in (False, True):
        folder = tmp_path / str(together)
        cell = problems.cell(steps=0, seeds=(0, 1))
        out = problems.train(cell, folder, build=build, together=together)
        assert problems.metrics(out, 1).splitlines()[1:] == [
            b",0,c_star,0.30000000000000004,1,,,final,ok"
        ]
        assert (out / "seed1" / "arrays.npz").is_file()


def test_a_missing_device_is_one_line_for_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="device: 'tpu' is not one of auto, cpu, cuda"):
        problems.train(problems.cell(), tmp_path, device="tpu")
