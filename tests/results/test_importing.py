"""An import takes all of a sound export or nothing, whatever it is given, whenever it is killed."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import textwrap
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results import archive, csvfile, files, staged
from paper_repro.results.collect import collect
from paper_repro.results.files import read_tables
from paper_repro.results.frames import load
from paper_repro.results.published import import_results
from paper_repro.rows import Row
from tests.results.made_runs import cell, write_run
from tests.results.test_damaged_tables import NAMES, PUBLISHED, SUMS, folder, lines
from tests.results.test_publishing import HOME, carry, machine

ARRAY = "arrays/taming_vaes/fit-a/seed0.npz"


@pytest.fixture
def export(tmp_path):
    """The members of an export, by name, and the folder that they were packed from."""
    out = folder(tmp_path / "made")
    assert main(["export", "--results", str(out), "--out", str(tmp_path / "rows.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "rows.zip") as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def pack(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, raw in members.items():
            packed.writestr(name, raw, **options)
    return path


def refused(source, published):
    """The line that refuses an import, which leaves nothing behind."""
    with pytest.raises(UserError) as refusal:
        import_results(source, published)
    line = str(refusal.value)
    assert line.startswith(str(source))
    assert not published.exists()
    return line


def arrays(**content):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    return buffer.getvalue()


MEMBERS = {  # a member, its new bytes (None: left out), what the line says; hashes left out
    "a lost table": ("runs.csv", lambda raw: None, "runs.csv: not there"),
    "a gzip cut short": ("curves.csv.gz", lambda raw: raw[:-20], "curves.csv.gz: cut short"),
    "a gzip that is none": ("curves.csv.gz", lambda raw: b"text\n", "curves.csv.gz: damaged"),
    "a damaged gzip": ("curves.csv.gz", lambda raw: raw[:60] + b"xx" + raw[62:], "curves.csv.gz"),
    "bytes after a gzip": ("curves.csv.gz", lambda raw: raw + b"x", "1 bytes follow its end"),
    "arrays that are none": (ARRAY, lambda raw: b"text", f"{ARRAY}: no arrays that a run saved"),
    "arrays cut short": (ARRAY, lambda raw: raw[:-9], f"{ARRAY}: no arrays that a run saved"),
    "pickled arrays": (ARRAY, lambda raw: arrays(x=np.array([{}])), f"{ARRAY}: no arrays"),
    "arrays of no run": ("arrays/taming_vaes/z/seed0.npz", lambda raw: b"x", "belongs to no run"),
    "arrays of a missing run": ("arrays/taming_vaes/fit-b/seed9.npz", lambda raw: b"", "to no run"),
    "another file": ("notes.txt", lambda raw: b"x", "'notes.txt' does not belong"),
    "a path that climbs": ("arrays/../../x.npz", lambda raw: b"x", "does not belong"),
    "an absolute path": ("/metrics.csv", lambda raw: b"x", "'/metrics.csv' does not belong"),
    "a folder": ("arrays/taming_vaes/", lambda raw: b"", "'arrays/taming_vaes/' does not belong"),
}


@pytest.mark.parametrize("what", MEMBERS)
def test_a_member_that_no_export_holds_is_named_with_the_users_zip(tmp_path, export, what):
    name, edit, expected = MEMBERS[what]
    raw = edit(export.get(name))
    members = {**export, name: raw}
    del members[SUMS]
    if raw is None:
        del members[name]
    line = refused(pack(tmp_path / "bad.zip", members), tmp_path / "published")
    assert expected in line


def test_an_export_without_hashes_is_refused(tmp_path, export):
    del export[SUMS]
    line = refused(pack(tmp_path / "bad.zip", export), tmp_path / "published")
    assert "bad.zip/SHA256SUMS: not there" in line
    assert "export them again" in line


def test_a_cell_is_not_imported_under_a_second_name(tmp_path):
    """Whether the first is published already or in the same export."""
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (0,), params={"steps": 5}), published)
    before = (published / HOME / "cells.csv").read_bytes()
    said = "cell d would have the very settings of c, under a second name"
    with pytest.raises(UserError, match=said):
        carry(machine(tmp_path / "b", "paper", (0,), name="d", params={"steps": 5}), published)
    assert (published / HOME / "cells.csv").read_bytes() == before
    both = [cell("sweep", name, study="taming_vaes", task="vae", seeds=1, steps=5) for name in "cd"]
    for one in both:
        write_run(tmp_path / "runs", one, 0, [Row("nll", 1.0, "nats/image")])
    collect(both, tmp_path / "runs", tmp_path / "out", "paper")
    with pytest.raises(UserError, match=said):
        carry(tmp_path / "out", tmp_path / "new")
    carry(machine(tmp_path / "c", "paper", (0,), name="d", params={"steps": 6}), published)


def test_a_row_that_was_edited_in_the_zip_is_named_by_its_line(tmp_path, export):
    export["metrics.csv"] = export["metrics.csv"].replace(b"nats/image", b"furlongs", 1)
    line = refused(pack(tmp_path / "bad.zip", export), tmp_path / "published")
    assert "bad.zip/metrics.csv, line 2: unit: 'furlongs' is not one of" in line


def test_a_row_that_was_lost_in_the_zip_is_known_by_the_hash(tmp_path, export):
    kept = lines(tmp_path / "made/out/metrics.csv")
    export["metrics.csv"] = b"".join(kept[:2] + kept[3:])
    line = refused(pack(tmp_path / "bad.zip", export), tmp_path / "published")
    assert "bad.zip/metrics.csv: not as it was written" in line


def test_a_zip_that_is_cut_damaged_doubled_or_locked_is_refused(tmp_path, export):
    raw = (tmp_path / "rows.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(raw[: len(raw) // 2])
    (tmp_path / "empty.zip").write_bytes(b"")
    flipped = bytearray(raw)
    flipped[raw.index(b"metrics.csv") + 40] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    locked = bytearray(raw)
    locked[raw.index(b"PK\x01\x02") + 8] |= 1  # says that it is encrypted
    (tmp_path / "locked.zip").write_bytes(locked)
    packed = zipfile.ZipFile(pack(tmp_path / "doubled.zip", export), "a")
    with packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("runs.csv", export["runs.csv"])
    for name in ("cut", "empty", "flipped", "locked", "doubled", "absent"):
        refused(tmp_path / f"{name}.zip", tmp_path / "published")


@pytest.mark.parametrize("member", ["curves.csv.gz", "metrics.csv", ARRAY])
def test_a_small_zip_cannot_fill_the_memory(tmp_path, export, member, monkeypatch):
    """100 MB of zeros, in gzip, in the zip itself, or in arrays, where 1 MB is allowed."""
    monkeypatch.setattr(csvfile, "LARGEST", 2**20)
    for module in (files, archive):
        monkeypatch.setattr(module, "LARGEST_ARRAYS", 2**20)
    squeeze = zlib.compressobj(9, wbits=31)
    zeros = squeeze.compress(bytes(10**8)) + squeeze.flush()
    packed = {"curves.csv.gz": zeros, "metrics.csv": bytes(10**8)}
    export[member] = packed.get(member) or arrays(x=np.zeros(10**8 // 8))
    del export[SUMS]
    source = pack(tmp_path / "bomb.zip", export)
    assert source.stat().st_size < 200_000
    del zeros, packed, export
    tracemalloc.start()
    line = refused(source, tmp_path / "published")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "bytes" in line
    assert peak < 2**24


def test_too_many_files_are_refused(tmp_path, export, monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 5)
    line = refused(tmp_path / "rows.zip", tmp_path / "published")
    assert "more than 5 files" in line


def test_a_damaged_published_folder_is_not_imported_into(tmp_path, export):
    """What is lost there would otherwise be published as lost."""
    published = tmp_path / "published"
    for name in (*NAMES.values(), SUMS):
        import_results(tmp_path / "rows.zip", published)
        (published / HOME / name).unlink()
        with pytest.raises(UserError, match=name):
            import_results(tmp_path / "rows.zip", published)
        for path in sorted(published.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def test_exporting_and_importing_what_is_shipped_changes_nothing(tmp_path):
    """Nor is a file of it written: what is known is left as it is."""
    published, rows = tmp_path / "published", str(tmp_path / "rows.zip")
    shutil.copytree(PUBLISHED, published)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files_in(published)}
    assert main(["export", "--results", str(PUBLISHED), "--out", rows]) == 0
    assert main(["import", rows, "--published", str(published)]) == 0
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files_in(published)}
    assert before == after


def files_in(root):
    return [path for path in root.rglob("*") if path.is_file()]


KILLED = """
    import os, sys, shutil
    from pathlib import Path
    from paper_repro.results.published import import_results
    from paper_repro.results.frames import load
    from paper_repro.errors import UserError

    source, old, new, work = map(Path, sys.argv[1:])
    WRITES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}

    def content(root):
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    def die_at(last):
        count = 0

        def hook(event, args):
            nonlocal count
            if event in WRITES or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
                count += 1
                if count == last:
                    os._exit(9)

        sys.addaudithook(hook)

    was, shall = content(old), content(new)
    for last in range(1, 10_000):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(old, work)
        child = os.fork()
        if not child:
            die_at(last)
            import_results(source, work)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
        try:
            load(work)
            found = content(work)
            seen = {k: v for k, v in found.items() if not k.startswith(".")}
            state = "old" if seen == was else "new" if seen == shall else "mixed"
        except UserError as error:
            state = "refused" if "interrupted" in str(error) else str(error)
        import_results(source, work)
        print(state, "mended" if content(work) == shall else "lost")
"""


def test_an_import_killed_at_any_write_leaves_the_old_rows_or_is_mended_by_the_next(tmp_path):
    """Killed (os._exit) before the n-th change of the disk, for every n."""
    old, new = tmp_path / "old", tmp_path / "new"
    for published in (old, new):
        carry(machine(tmp_path / f"{published.name}-a", "reduced", (0, 1, 2)), published)
        carry(machine(tmp_path / f"{published.name}-b", "reduced", (0,), name="d"), published)
        (published / "tables").mkdir()
        (published / "tables/derived.csv").write_text("x\n")
        (published / "claims.csv").write_text("y\n")
    source = machine(tmp_path / "c", "paper", (0, 1), value=9.0, name="d")
    carry(source, new)
    script = [sys.executable, "-c", textwrap.dedent(KILLED), source.parent / "rows.zip"]
    done = subprocess.run(
        [*map(str, script), str(old), str(new), str(tmp_path / "work")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.stderr == ""
    outcomes = done.stdout.splitlines()
    assert len(outcomes) > 30
    assert set(outcomes) == {"old mended", "refused mended", "new mended"}


def test_a_reader_of_a_half_finished_write_is_told_to_repeat_it(tmp_path):
    out = folder(tmp_path)
    (out / ".valid").mkdir()
    load(out)  # nothing differs: killed after the last copy
    (out / "runs.csv").unlink()
    with pytest.raises(UserError, match="a write was interrupted here; give the same command"):
        load(out)


def test_two_imports_at_once_keep_the_rows_of_both(tmp_path):
    """The second waits where the first has read the rows and not yet written them."""
    published = tmp_path / "published"
    first = machine(tmp_path / "a", "reduced", (0,), planned=2)
    carry(machine(tmp_path / "b", "reduced", (1,), planned=2), tmp_path / "other")
    with staged.held(published):
        command = [sys.executable, "-m", "paper_repro", "import", str(tmp_path / "b/rows.zip")]
        other = subprocess.Popen(
            [*command, "--published", str(published)],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert "another process writes here; waiting" in other.stderr.readline()
        staged.replace({HOME: (read_tables(first), {})}, published)
    other.communicate()
    assert other.returncode == 0
    assert set(load(published).runs["status"]) == {"ok"}
