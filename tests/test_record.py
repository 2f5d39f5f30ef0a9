"""A run is believed only if every byte of it is what was written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from paper_repro import record

FILES = {"metrics.csv": b"split,value\ntest,1.5\ntest,2.5\n", "arrays.npz": bytes(range(256))}
ADDRESS = {"study": "s", "experiment": "e", "id": "c", "tier": "smoke", "task": "t"}
SAID = {
    **{name: "x" for name, kind in record.FIELDS.items() if kind is str},
    **{"status": "ok", "seed": 0, "steps": 3, "seconds": 0.1 + 0.2, "name": "\u00e9"},
    **{"evaluation_seconds": 0, "steps_per_second": 1.5, "peak_memory_mib": 2.0, "flops": 0},
    "cell": {**ADDRESS, "params": {}, "seeds": [0]},
}


def written(folder: Path) -> Path:
    record.write(folder, SAID, FILES)
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = record.read(written(tmp_path / "run"))
    assert found
    assert found.files == FILES
    assert SAID.items() <= found.record.items()
    assert record.read(tmp_path / "none") is None


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    folder, dice = written(tmp_path), random.Random(1)
    for name in ("run.json", *FILES):
        whole = (folder / name).read_bytes()
        for bit in dice.sample(range(8 * len(whole)), 60):
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            (folder / name).write_bytes(content)
            with pytest.raises(record.Damaged, match=name):
                record.read(folder)
        (folder / name).write_bytes(whole)
    assert record.read(folder)


def change(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def applied(folder: Path) -> None:
        (folder / name).write_bytes(edit((folder / name).read_bytes()))

    return applied


def reworded(text: bytes) -> bytes:
    return json.dumps({**json.loads(text), "seconds": 1.0}, indent=1).encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("run.json", change("run.json", lambda b: b"")),
        ("run.json", change("run.json", lambda b: bytes(len(b)))),
        ("run.json", change("run.json", lambda b: b[:-30])),
        ("run.json", change("run.json", lambda b: b"[]")),
        ("run.json", change("run.json", lambda b: b"[" * 100_000)),
        ("run.json", change("run.json", lambda b: b"\xff\xfe" + b)),
        ("run.json", change("run.json", reworded)),
        ("metrics.csv", change("metrics.csv", lambda b: b[:-5])),
        ("metrics.csv", change("metrics.csv", lambda b: b.replace(b"test,1.5\n", b""))),
        ("metrics.csv", change("metrics.csv", lambda b: b + b"test,2.5\n")),
        ("metrics.csv", change("metrics.csv", lambda b: b.replace(b"1.5", b"abc"))),
        ("metrics.csv", lambda folder: (folder / "metrics.csv").unlink()),
        ("arrays.npz", lambda folder: (folder / "arrays.npz").unlink()),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, way: Callable[[Path], None]) -> None:
    way(written(tmp_path))
    with pytest.raises(record.Damaged, match=name) as caught:
        record.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_arrays_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    written(tmp_path)
    record.write(tmp_path, SAID, {"metrics.csv": b""})
    found = record.read(tmp_path)
    assert found
    assert found.files == {"metrics.csv": b""}
    (tmp_path / "arrays.npz").write_bytes(b"of another run")
    with pytest.raises(record.Damaged, match=r"arrays\.npz is not part of this run"):
        record.read(tmp_path)


@pytest.mark.parametrize("name", ["cell", "status", "seconds", "evaluation_seconds", "flops"])
def test_a_record_of_another_version_is_no_run(tmp_path: Path, name: str) -> None:
    """Sealed all the same, but without a field, or with one of another type."""
    record.write(tmp_path, {key: value for key, value in SAID.items() if key != name}, FILES)
    with pytest.raises(record.Damaged, match=f"of another version .'{name}' is not as here"):
        record.read(tmp_path)
    record.write(tmp_path, {**SAID, name: None}, FILES)
    with pytest.raises(record.Damaged, match=f"of another version .'{name}' is not as here"):
        record.read(tmp_path)


def test_a_record_whose_cell_has_no_parameters_is_no_run(tmp_path: Path) -> None:
    record.write(tmp_path, {**SAID, "cell": ADDRESS}, FILES)
    with pytest.raises(record.Damaged, match=r"of another version .'params' is not as here"):
        record.read(tmp_path)
