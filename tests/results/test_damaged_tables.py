"""Tables that were cut, edited or damaged are refused in one line that names file and row."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.grid import study_names
from paper_repro.results.collect import collect
from paper_repro.results.files import NAMES
from paper_repro.results.frames import load
from paper_repro.results.published import import_results
from paper_repro.results.registrations import digest as digest_of
from paper_repro.rows import Row
from tests.results.made_runs import cell, write_run

SUMS = "SHA256SUMS"
REGISTERED = {"ours": {"ours-A1": "a" * 64}, "theirs": {"theirs-A1": "b" * 64}}
PUBLISHED = Path(__file__).parents[2] / "results/published"


def folder(root: Path) -> Path:
    """Results of two cells with three runs each: one diverged, one missing, arrays of one cell, and
    what was registered before the runs of seed 0."""
    known = {"study": "taming_vaes", "task": "vae"}
    cells = [
        cell("sweep", f"fit-{name}", dataset=dataset, seeds=3, **known)
        for name, dataset in (("a", "mnist"), ("b", "cifar10"))
    ]
    for one in cells:
        for seed in range(3 if one.id == "fit-a" else 2):
            rows = [
                Row("nll", 1.5 + seed, "nats/image", "test", at="samples=50"),
                Row("nll", 2.5 + seed, "nats/image", "validation", at="samples=50"),
                *[Row("elbo", -i, "nats/image", "train", step=i, kind="curve") for i in range(3)],
            ]
            arrays = {"x": np.arange(3.0)} if one.id == "fit-a" else None
            status = "diverged" if seed == 1 else "ok"
            carried = {} if seed else {"registered": REGISTERED}
            write_run(root / "runs", one, seed, rows, status, arrays, **carried)
    collect(cells, root / "runs", root / "out", "paper")
    return root / "out"


def lines(path: Path) -> list[bytes]:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines(keepends=True)


def put(path: Path, raw: bytes) -> None:
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def setting(line: int, **fields: str):
    """An edit of fields of a line, counted from 1."""

    def edit(found: list[bytes]) -> bytes:
        head, *records = csv.reader(io.StringIO(b"".join(found).decode(), newline=""))
        row = dict(zip(head, records[line - 2], strict=True)) | fields
        records[line - 2] = list(row.values())
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows([head, *records])
        return buffer.getvalue().encode()

    return edit


def dropping(*which: int):
    return lambda found: b"".join(line for n, line in enumerate(found, 1) if n not in which)


def doubling(line: int):
    return lambda found: b"".join([*found, found[line - 1]])


def adding(raw: bytes):
    return lambda found: b"".join([*found, raw])


def exchanging(old: bytes, new: bytes):
    return lambda found: b"".join(found).replace(old, new)


def cutting(size: int):
    return lambda found: b"".join(found)[:-size]


def replacing(line: int, raw: bytes):
    return lambda found: b"".join([*found[: line - 1], raw, *found[line:]])


DAMAGES = {  # table, edit, what the line says: found by what the rows say, without any hash
    "a doubled row": ("metrics", doubling(3), "line 15: the row stands there twice"),
    "a doubled curve row": ("curves", doubling(4), "line 17: the row stands there twice"),
    "a doubled run": (
        "runs",
        doubling(2),
        r"line 8: run taming_vaes/fit-a seed 0 stands there twice",
    ),
    "a doubled cell": ("cells", doubling(3), "line 4: cell taming_vaes/fit-b stands there twice"),
    "doubled costs": (
        "costs",
        doubling(2),
        "line 4: costs of taming_vaes/fit-a on 'a cpu' stand there",
    ),
    "a run without rows": (
        "metrics",
        dropping(14),
        "line 7: run taming_vaes/fit-b seed 2 has no row",
    ),
    "a lost run": ("runs", dropping(4), "line 7: run taming_vaes/fit-a seed 2 is not in runs.csv"),
    "a lost cell": ("cells", dropping(2), "line 2: cell taming_vaes/fit-a is not in cells.csv"),
    "lost costs": ("costs", dropping(2), "line 2: cell taming_vaes/fit-a has no row in costs.csv"),
    "an emptied table": ("runs", dropping(*range(2, 8)), "no row in runs.csv"),
    "an empty file": ("runs", lambda found: b"", "runs.csv: empty"),
    "another header": ("runs", replacing(1, b"run_id,study\n"), r"runs\.csv: its columns differ"),
    "a cut within a row": ("metrics", cutting(30), "metrics.csv, line 14: cut short"),
    "a cut before the line break": ("cells", cutting(1), "cells.csv, line 3: cut short"),
    "text for a value": ("metrics", setting(3, value="abc"), "line 3: value 'abc' is no number"),
    "no value": ("metrics", setting(3, value=""), "line 3: value '' is no number"),
    "a number with a comma": ("curves", setting(3, value="1,5"), "line 3: value '1,5' is no"),
    "a number python alone reads": ("metrics", setting(3, value="1_0"), "value '1_0' is no"),
    "an unknown unit": ("metrics", setting(3, unit="furlongs"), "line 3: unit: 'furlongs'"),
    "no unit": ("curves", setting(3, unit=""), "line 3: unit: '' is not one of"),
    "no metric": ("curves", setting(3, metric=""), "line 3: no metric"),
    "a step that is text": ("curves", setting(3, step="x"), "line 3: step 'x' is no whole number"),
    "a broken step": ("curves", setting(3, step="1.5"), "line 3: step '1.5' is no whole number"),
    "steps that are text": ("metrics", setting(3, steps="many"), "line 3: steps of run"),
    "a seed of two zeros": ("runs", setting(2, seed="00"), "line 2: seed '00' is no whole number"),
    "a seed that is text": ("runs", setting(3, seed="one"), "line 3: seed 'one' is no whole"),
    "broken coordinates": ("metrics", setting(3, at="samples"), "line 3: at 'samples'"),
    "an unknown status": ("runs", setting(3, status="fine"), "line 3: status: 'fine' is not one"),
    "a status of its own": ("metrics", setting(2, status="diverged"), "line 2: status 'diverged'"),
    "missing, but run": ("runs", setting(2, status="missing"), "line 2: run_id '.*' of a run that"),
    "run, but missing": ("runs", setting(7, status="ok"), "line 7: run_id '' of a run that is ok"),
    "a missing run's number": ("metrics", setting(14, value="1"), "line 14: a number of run"),
    "a row of another run": ("metrics", setting(3, run_id="ff"), "line 3: run_id of run .*differs"),
    "a row of another tier": ("metrics", setting(3, tier="quick"), "line 3: tier of run .*differs"),
    "an unplanned cell": (
        "curves",
        setting(3, cell="z"),
        "line 3: run taming_vaes/z seed 0 is not in",
    ),
    "another experiment": ("runs", setting(3, experiment="x"), "line 3: experiment and tier are"),
    "seconds that are text": ("runs", setting(3, seconds="long"), "line 3: seconds 'long' is no"),
    "costs that are text": ("costs", setting(3, flops="lots"), "line 3: flops 'lots' is no"),
    "params that are no JSON": (
        "cells",
        setting(3, params="{"),
        "line 3: params of taming_vaes/fit-b",
    ),
    "params that are no object": (
        "cells",
        setting(3, params="[1]"),
        "line 3: params of taming_vaes/fit",
    ),
    "params without a bottom": ("cells", setting(3, params="[" * 9999), "line 3: params of tami"),
    "a cell that climbs": (
        "cells",
        setting(3, cell="../up"),
        "line 3: 'taming_vaes', '../up': not names",
    ),
    "a cell without a task": (
        "cells",
        setting(3, task=""),
        "line 3: study, experiment, cell, tier",
    ),
    "a short row": ("metrics", replacing(3, b"taming_vaes,sweep\n"), "line 3: 2 fields, not 21"),
    "a long row": ("metrics", replacing(3, b"," * 21 + b"\n"), "line 3: 22 fields, not 21"),
    "a blank line": ("metrics", replacing(3, b"\n"), "line 3: blank"),
    "a blank line at the end": ("curves", adding(b"\n"), "line 17: blank"),
    "a NUL byte": ("metrics", replacing(3, b"\0" * 40 + b"\n"), "line 3: a NUL byte"),
    "Windows' line ends": ("runs", exchanging(b"\n", b"\r\n"), "line 1: a carriage return"),
    "Latin-1": ("runs", exchanging(b"a cpu", b"\xe9"), "line 2: is not UTF-8"),
    "an open quote": (
        "metrics",
        replacing(3, b'"taming_vaes,sweep\n'),
        "line 3: (is no CSV|a line break)",
    ),
    "a huge field": ("cells", setting(3, params="9" * 200_000), "line 3: is no CSV"),
    # What two tables say of one run or cell: each by itself could be right.
    "diverged, by one table": (
        *("runs", setting(2, status="diverged")),
        "line 2: run taming_vaes/fit-a seed 0 is 'diverged', but no row in metrics.csv says so",
    ),
    "diverged, by a curve": ("curves", setting(5, status="diverged"), "line 5: status 'diverged'"),
    "a run cut short": ("runs", setting(2, steps="7"), "line 2: .* is ok after 7 steps of 100"),
    "a run too long": ("runs", setting(3, steps="101"), "is diverged after 101 steps of 100"),
    "a row after the end": (
        "curves",
        setting(3, step="101"),
        "step 101 of run .* ended at step 100",
    ),
    "data of its own": ("metrics", setting(3, dataset="b"), "line 3: dataset of run .* cells.csv"),
    "a model of its own": ("curves", setting(3, model="mlp"), "line 3: model of run .* cells.csv"),
    "other settings": ("cells", setting(2, params='{"steps": 9}'), "is ok after 100 steps of 9"),
    "no settings": ("cells", setting(2, params="{}"), "line 2: steps '' in the params of"),
    "a missing run's device": ("runs", setting(7, device="cpu"), "line 7: device 'cpu' of a run"),
    "costs elsewhere": (
        *("costs", setting(2, device_name="x")),
        "line 2: costs of 3 runs on 'x'; by runs.csv the cell ran on a cpu",
    ),
    "costs of no run": ("costs", setting(2, runs="0"), "line 2: costs of 0 runs on 'a cpu'; by"),
    "negative seconds": (
        "runs",
        setting(2, seconds="-2"),
        "line 2: seconds '-2' is no number from",
    ),
    "a negative speed": ("runs", setting(2, steps_per_second="-1"), "steps_per_second '-1' is no"),
    "negative costs": ("costs", setting(2, seconds="-7.5"), "line 2: seconds '-7.5' is no number"),
    "negative memory": ("costs", setting(2, peak_memory_mib="-1"), "peak_memory_mib '-1' is no"),
    "endless costs": ("costs", setting(2, flops="inf"), "line 2: flops 'inf' is no number from 0"),
    "a registration of nothing": (
        "runs",
        setting(3, registered="0" * 12),
        "line 3: registered '0+'",
    ),
    "a missing run's rules": (
        "runs",
        setting(7, registered="0" * 12),
        "line 7: registered '0+' of",
    ),
    "an unheard registration": (
        "runs",
        setting(2, registered="x"),
        "line 2: registered 'x' is not",
    ),
    "a lost registration": (
        *("registrations", dropping(2, 3)),
        r"runs.csv, line 2: registered '[0-9a-f]{12}' is not in registrations.csv",
    ),
    "a rule changed afterwards": (
        *("registrations", setting(2, hash="c" * 64)),
        "registrations.csv, line 2: the lines of [0-9a-f]{12} are not those that it is",
    ),
    "a claim lost afterwards": (
        "registrations",
        dropping(3),
        "line 2: the lines of .* are not",
    ),
    "a hash cut short": ("registrations", setting(3, hash="b" * 63), "line 3: hash 'b+' is none"),
    "a doubled rule": (
        "registrations",
        doubling(3),
        "line 4: theirs/theirs-A1 of .* there twice",
    ),
    "an unused registration": (
        *("runs", exchanging(f",{digest_of(REGISTERED)}\n".encode(), b",\n")),
        "registrations.csv, line 2: no run in runs.csv carries ",
    ),
    "overflowing costs": ("costs", setting(2, flops="1e999"), "line 2: flops '1e999' is no number"),
}


def damaged(root: Path, name: str) -> tuple[Path, str]:
    """A results folder with one of the damages, and the pattern of the line about it."""
    table, edit, pattern = DAMAGES[name]
    out = folder(root)
    path = out / NAMES[table]
    put(path, edit(lines(path)))
    return out, pattern


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_row_is_named_when_results_are_read(tmp_path, name):
    out, pattern = damaged(tmp_path, name)
    with pytest.raises(UserError, match=pattern):
        load(out)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_row_is_never_imported(tmp_path, name):
    """Nor is it where no hash tells: in an export that an older version made."""
    out, pattern = damaged(tmp_path, name)
    (out / SUMS).unlink()
    published = tmp_path / "published"
    with pytest.raises(UserError, match=pattern):
        import_results(out, published)
    assert not published.exists()


@pytest.mark.parametrize("file", [*NAMES.values(), SUMS, "arrays/taming_vaes/fit-a/seed0.npz"])
@pytest.mark.parametrize("damage", ["lost", "cut", "doubled"])
def test_every_file_of_a_folder_is_missed_and_its_bytes_are_known(tmp_path, file, damage, capsys):
    out = folder(tmp_path)
    raw = (out / file).read_bytes()
    if damage == "lost":
        (out / file).unlink()
    else:
        (out / file).write_bytes(raw * 2 if damage == "doubled" else raw[: len(raw) // 2])
    for command in ("merge", "export"):
        given = [str(out)] if command == "merge" else ["--results", str(out)]
        target = tmp_path / f"{command}.zip"  # merge makes a folder of any name
        assert main([command, *given, "--out", str(target)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert str(out) in line
        assert Path(file).name in line
        assert not target.exists()
    with pytest.raises(UserError, match=str(out)):
        load(out)


def test_no_change_of_a_single_byte_goes_unnoticed(tmp_path):
    out, rng = folder(tmp_path), random.Random(0)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    for _ in range(400):
        path = rng.choice(files)
        raw = path.read_bytes()
        at = rng.randrange(len(raw))
        changed = bytes([raw[at] ^ rng.randrange(1, 256)])
        path.write_bytes(raw[:at] + changed + raw[at + 1 :])
        with pytest.raises(UserError, match=str(out)):
            load(out)
        path.write_bytes(raw)
    load(out)


@pytest.mark.parametrize("table", NAMES)
def test_no_lost_or_doubled_row_goes_unnoticed(tmp_path, table):
    out = folder(tmp_path)
    path = out / NAMES[table]
    whole = lines(path)
    for n in range(2, len(whole) + 1):
        for edit in (dropping(n), doubling(n)):
            put(path, edit(whole))
            with pytest.raises(UserError, match=NAMES[table]):
                load(out)


@pytest.fixture
def anybody() -> Iterator[Path]:
    """A folder of a user whom permissions stop, as they stop not root."""
    with tempfile.TemporaryDirectory() as place:
        if os.geteuid():
            yield Path(place)
            return
        os.chown(place, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(place)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400], ids=oct)
@pytest.mark.parametrize("closed", ["arrays", "arrays/taming_vaes", "arrays/taming_vaes/fit-a"])
def test_arrays_that_cannot_be_read_are_not_called_lost(anybody, closed, mode, capsys):
    out = folder(anybody)
    (out / closed).chmod(mode)
    try:
        given = ["--results", str(out), "--out", str(anybody / "x.zip")]
        assert main(["export", *given]) == 2
    finally:
        (out / closed).chmod(0o700)
    (line,) = capsys.readouterr().err.splitlines()
    assert str(out / closed) in line
    assert line.endswith(": cannot be read (Permission denied)")


def test_arrays_that_nobody_listed_are_refused(tmp_path):
    out = folder(tmp_path)
    (out / "arrays/taming_vaes/fit-b").mkdir()
    (out / "arrays/taming_vaes/fit-b/seed0.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"fit-b/seed0\.npz: not listed in SHA256SUMS"):
        load(out)


def test_the_hashes_are_those_of_sha256sum(tmp_path):
    out = folder(tmp_path)
    listed = dict(line.split("  ")[::-1] for line in (out / SUMS).read_text().splitlines())
    files = [path for path in out.rglob("*") if path.is_file() and path.name != SUMS]
    assert listed == {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_shipped_rows_are_those_that_were_imported():
    for study in study_names():
        home = PUBLISHED / "studies" / study
        listed = dict(line.split("  ")[::-1] for line in (home / SUMS).read_text().splitlines())
        arrays = {p.relative_to(home).as_posix() for p in home.rglob("*.npz")}
        assert set(listed) == {*NAMES.values(), *arrays}
        for name, digest in listed.items():
            assert hashlib.sha256((home / name).read_bytes()).hexdigest() == digest


def test_git_converts_no_line_end_of_what_is_hashed():
    root = PUBLISHED.parents[1]
    rules = (root / ".gitattributes").read_text().splitlines()
    assert {"results/published/** -text", "figures/published/** -text"} <= set(rules)


def test_what_the_line_advises_mends_it(tmp_path):
    """Delete the tables and collect again: every file is as before."""
    out = folder(tmp_path)
    whole = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (out / "metrics.csv").write_text("")
    with pytest.raises(UserError, match="or delete the tables and collect or import them again"):
        load(out)
    for name in NAMES.values():
        (out / name).unlink()
    assert folder(tmp_path) == out
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == whole
