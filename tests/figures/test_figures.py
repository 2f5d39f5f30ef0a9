"""Figures are functions of the rows: complete, deterministic, honest about what is missing."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paper_repro import registry
from paper_repro.claims.filters import pick
from paper_repro.claims.verdicts import CLAIM_COLUMNS
from paper_repro.drawing import draw, panels, style
from paper_repro.drawing import drawn as drawn_as
from paper_repro.results.frames import Results, load
from paper_repro.studies.infinite_gradients import gamma_rows, outlier_rows
from paper_repro.studies.taming_vaes import constraint_rows, plane_rows
from tests import synthetic_results as synthetic
from tests.figures.reading import texts

STUDY = synthetic.STUDY
FIGURES = draw.figures_of(STUDY)
SOME = ("variance_path", "snr")
AGAIN = ("fig1", "poster_surface", "table1_levels")  # drawn a second time by another process
SCRIPT = """
import sys
from pathlib import Path
from paper_repro.drawing import draw, style
from paper_repro.results.frames import load
results, out, names = load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
for name in names:
    with style.settings():
        style.save(draw.figures_of("sticking_the_landing")[name](results), out / name)
assert "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.everything(tmp_path_factory.mktemp("results") / synthetic.TIER)


@pytest.fixture(scope="module")
def results(root: Path) -> Results:
    return load(root)


@pytest.fixture(scope="module")
def drawn(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("figures")
    draw.draw_study("sticking_the_landing", root, out / "sticking_the_landing")
    draw.write_manifest(out, out / "manifest.json")
    return out


def test_every_figure_is_drawn_with_a_caption_that_says_tier_and_n(drawn: Path) -> None:
    captions = draw.captions_of(drawn / STUDY)
    assert list(captions) == list(FIGURES)
    for name, caption in captions.items():
        assert (drawn / STUDY / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (drawn / STUDY / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "tier smoke, n = " in caption


def test_the_manifest_holds_the_hash_of_every_drawn_file_and_of_no_other(drawn: Path) -> None:
    (drawn / STUDY / "stale.png").write_bytes(b"from an older version")
    path = draw.write_manifest(drawn, drawn / "manifest.json")
    manifest = json.loads(path.read_text())
    assert sorted(manifest) == sorted(f"{STUDY}/{n}.{k}" for n in FIGURES for k in ("pdf", "png"))
    for name, digest in manifest.items():
        assert hashlib.sha256((drawn / name).read_bytes()).hexdigest() == digest


def test_another_process_with_other_settings_draws_the_same_bytes(
    root: Path, drawn: Path, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("backend: qtagg\nlines.linewidth: 9\nfont.size: 20\n")
    paths = [str(root), str(tmp_path), *AGAIN]
    variables = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": str(registry.PACKAGE.parent),
        "TZ": "Asia/Tokyo",
        "SOURCE_DATE_EPOCH": "yesterday",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
    }
    subprocess.run([sys.executable, "-c", SCRIPT, *paths], cwd=tmp_path, env=variables, check=True)
    for name in AGAIN:
        for kind in ("pdf", "png"):
            again = (tmp_path / f"{name}.{kind}").read_bytes()
            assert again == (drawn / STUDY / f"{name}.{kind}").read_bytes(), f"{name}.{kind}"


def test_files_carry_no_date_and_no_version(drawn: Path) -> None:
    for path in (drawn / STUDY).glob("*.p??"):
        raw = path.read_bytes()
        for mark in (b"CreationDate", b"ModDate", b"Producer", b"Software", b"tIME"):
            assert mark not in raw, f"{path.name}: {mark!r}"


@pytest.mark.parametrize("command", ["figures", "tables", "report"])
def test_the_shell_of_a_notebook_and_a_users_matplotlibrc_stop_no_command(
    command: str, tmp_path: Path
) -> None:
    """All of them import matplotlib, which refuses a backend that is not installed."""
    (tmp_path / "matplotlibrc").write_text("backend: qtagg\n")
    root = synthetic.empty(tmp_path / "smoke")
    (root / "claims.csv").write_text(",".join(CLAIM_COLUMNS) + "\n")
    (tmp_path / "figures" / STUDY).mkdir(parents=True)
    (tmp_path / "figures" / STUDY / draw.CAPTIONS).write_text("{}\n")
    options = {
        "figures": ["--study", STUDY, "--out", str(tmp_path / "figures" / STUDY)],
        "tables": ["--study", "taming_vaes", "--out", str(tmp_path / "tables")],
        "report": ["--figures", str(tmp_path / "figures"), "--out", str(tmp_path / "r.html")],
    }
    changed = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "PYTHONPATH": str(registry.PACKAGE.parent),
    }
    run = [sys.executable, "-m", "paper_repro", command, "--results", str(root)]
    subprocess.run([*run, *options[command]], env={**os.environ, **changed}, check=True)


def stale(folder: Path) -> dict[Path, bytes]:
    """The files of two figures and their records, made to look old and to differ a little, as
    those from another machine do; the files."""
    for name in SOME:
        path = folder / f"{name}.png"
        style.mpl.image.imsave(path, style.mpl.image.imread(path))
        path.with_suffix(".pdf").write_bytes(path.with_suffix(".pdf").read_bytes() + b"\n")
    record = folder / draw.DRAWN
    shown = json.loads(record.read_text())
    for panel in itertools.chain(*(one["panels"] for one in shown.values())):
        panel["sums"] = [value + 1e-5 for value in panel["sums"]]
        panel["limits"] = [value * (1 + 1e-7) for value in panel["limits"]]
    record.write_text(json.dumps(shown))
    paths = [folder / f"{name}.{kind}" for name in SOME for kind in ("pdf", "png")]
    for path in paths:
        os.utime(path, (1e9, 1e9))
    return {path: path.read_bytes() for path in paths}


@pytest.fixture
def some(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two figures of the study."""
    functions = {name: FIGURES[name] for name in SOME}
    monkeypatch.setattr(draw, "figures_of", lambda study: functions)
    draw.draw_study(STUDY, root, tmp_path / STUDY)
    return tmp_path / STUDY


def test_a_figure_that_shows_the_same_stays_but_is_as_new_as_its_rows(
    some: Path, root: Path
) -> None:
    before = stale(some)
    shown = json.loads((some / draw.DRAWN).read_text())
    draw.draw_study(STUDY, root, some)
    assert json.loads((some / draw.DRAWN).read_text()) == shown
    for path, raw in before.items():
        assert path.read_bytes() == raw, path.name
        assert path.stat().st_mtime > 1e9


def test_a_figure_drawn_by_another_matplotlib_stays_if_its_numbers_do(
    some: Path, root: Path
) -> None:
    """Its text has another width, so no pixel need be where it was."""
    stale(some)
    picture = some / f"{SOME[0]}.png"
    style.mpl.image.imsave(picture, style.mpl.image.imread(picture)[5:])
    record = some / draw.DRAWN
    record.write_text(record.read_text().replace(drawn_as.LIBRARY, "matplotlib 3.99, FreeType 3"))
    before = picture.read_bytes()
    draw.draw_study(STUDY, root, some)
    assert picture.read_bytes() == before
    assert drawn_as.LIBRARY not in record.read_text()


def test_a_figure_of_other_rows_replaces_the_old_one(some: Path, tmp_path: Path) -> None:
    before = stale(some)
    other = synthetic.everything(tmp_path / "other", lost={("snr", 0): "diverged"})
    draw.draw_study(STUDY, other, some)
    changed = {path.stem for path, raw in before.items() if path.read_bytes() != raw}
    assert changed == {"snr"}


def test_a_figure_of_another_look_replaces_the_old_one(
    some: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stale(some)
    monkeypatch.setitem(style.SETTINGS, "lines.linewidth", 3.0)
    draw.draw_study(STUDY, root, some)
    assert not any(path.read_bytes() == raw for path, raw in before.items())


def test_a_figure_whose_files_or_record_are_gone_is_drawn_again(some: Path, root: Path) -> None:
    whole = {path.name: path.read_bytes() for path in some.iterdir()}
    (some / f"{SOME[0]}.pdf").unlink()
    draw.draw_study(STUDY, root, some)
    assert {path.name: path.read_bytes() for path in some.iterdir()} == whole
    (some / draw.DRAWN).write_text("{")
    draw.draw_study(STUDY, root, some)
    assert {path.name: path.read_bytes() for path in some.iterdir()} == whole


@pytest.mark.parametrize("name", FIGURES)
def test_no_label_is_cut_off_or_covers_another(name: str, results: Results) -> None:
    with style.settings():
        made = FIGURES[name](results)
        made.draw_without_rendering()
    page = made.bbox.padded(2)
    labels = [made._supxlabel, *(legend for legend in made.legends)]
    for axes in made.axes:
        if axes.name != "3d":  # its labels are placed by the projection
            labels += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title]
    boxes = [(label, label.get_window_extent()) for label in labels]
    boxes = [(label, box) for label, box in boxes if box.width > 1]
    for i, (label, box) in enumerate(boxes):
        assert page.x0 <= box.x0, label
        assert box.x1 <= page.x1, label
        assert page.y0 <= box.y0, label
        assert box.y1 <= page.y1, label
        for other, its in boxes[:i]:
            assert not box.overlaps(its), f"{label} covers {other}"


def test_diverged_and_missing_runs_are_counted_in_footer_and_caption(tmp_path: Path) -> None:
    root = synthetic.everything(tmp_path / synthetic.TIER, lost={("flow_fit-path", 1): "diverged"})
    with style.settings():
        made = FIGURES["flow"](load(root))
    assert "1 run diverged" in texts(made)
    assert "1 run diverged" in made.get_label()


def test_forest_plot_shows_path_minus_total_over_common_seeds(results: Results) -> None:
    with style.settings():
        made = FIGURES["table1_differences"](results)
    frame = pick(
        results.frame(STUDY, "table1", "nll"),
        binarisation="fixed", dataset="mnist", layers=1, objective="elbo", k=1,
    )  # fmt: skip
    path, total = (pick(frame, estimator=e).set_index("seed")["value"] for e in ("path", "total"))
    first = next(axes for axes in made.axes if axes.get_title(loc="left") == "mnist")
    marks = [c for c in first.containers if c.lines[0].get_ydata()[0] == 0]
    assert next(t.get_text() for t in first.get_yticklabels()) == "1 layer, VAE k = 1"
    np.testing.assert_allclose(marks[0].lines[0].get_xdata(), [(path - total).mean()])


def test_reported_levels_are_hollow_while_our_schedule_is_shorter(results: Results) -> None:
    with style.settings():
        made = FIGURES["table1_levels"](results)
    burda = [line for line in made.axes[0].lines if line.get_label() == "Burda et al. 2016"]
    assert len(burda[0].get_xdata()) == 10
    assert burda[0].get_markerfacecolor() == "none"
    assert "hollow" in texts(made)


@pytest.mark.parametrize(
    "looks",
    [
        style.LOOKS,
        gamma_rows.LOOKS | outlier_rows.LOOKS,
        plane_rows.LOOKS | constraint_rows.LOOKS,
    ],
)
def test_looks_are_distinct(looks: dict[str, style.Look]) -> None:
    shared = {"control_variate", "optimal_c"}  # the same estimator with a fixed and the best weight
    looks = {name: look for name, look in looks.items() if name not in shared}
    for one, other in itertools.combinations(looks.values(), 2):  # more names than colours
        assert (one.colour, one.marker) != (other.colour, other.marker), (one.label, other.label)
    assert style.look("brand_new") == style.look("brand_new")
    assert style.look(plane_rows.LOOKS["geco"]) is plane_rows.LOOKS["geco"]


def test_student_interval_over_three_seeds_is_the_textbook_one() -> None:
    mean, low, high = panels.student(np.array([[1.0, 2.0, 3.0], [5.0, np.nan, np.nan]]))
    half = 4.302652729911275 / np.sqrt(3)
    np.testing.assert_allclose(mean, [2.0, 5.0])
    np.testing.assert_allclose([low[0], high[0]], [2 - half, 2 + half])
    assert np.isnan(low[1])
    assert np.isnan(high[1])


def test_log_interval_is_that_of_the_logarithm_and_leaves_out_zeros() -> None:
    mean, low, high = panels.student(np.array([[1.0, 100.0, 0.0]]), log=True)
    np.testing.assert_allclose(mean, 10.0)
    assert 0 < low[0] < 10 < high[0]
    np.testing.assert_allclose(low[0] * high[0], 100.0)
