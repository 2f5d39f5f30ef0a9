"""The report opens offline, hides nothing, and is a function of the results."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from paper_repro import catalogue
from paper_repro.claims.verdicts import CLAIM_COLUMNS, judge_study
from paper_repro.cli import main
from paper_repro.drawing import draw
from paper_repro.grid import study_names
from paper_repro.report import shown
from paper_repro.report.page import build
from tests import synthetic_results as synthetic

STUDY = synthetic.STUDY
OTHER_RULES = f"""\
study,claim,rule,verdict,agrees
{STUDY},landing-B6,alpha 0.1,supported,yes
{STUDY},landing-B6,without seed 1,inconclusive,no
"""
VOID = {"meta", "img", "br", "link", "input", "hr"}
LOADING = {"src", "srcset", "poster", "data", "action", "background"}  # attributes that fetch


class Page(HTMLParser):
    """Tags, identifiers, links and text of a page; fails where tags do not close in order."""

    def __init__(self, raw: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(raw)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name == "href" else []
            self.loads += [value or ""] if name in LOADING else []
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results, verdicts and a table of a made-up tier."""
    lost = {("snr", 0): "diverged"}
    root = synthetic.everything(tmp_path_factory.mktemp("r") / synthetic.TIER, lost=lost)
    judge_study(STUDY, root, root / "claims.csv")
    (root / "tables").mkdir()
    table = (
        "| cell | difference |\n| --- | --- |\n| a \\| b | -0.27 ± 0.04 |\n\nPaired <by> seed.\n"
    )
    (root / "tables" / f"{STUDY}_table1.md").write_text(table)
    (root / "tables/robustness.csv").write_text(OTHER_RULES)
    return root


@pytest.fixture(scope="module")
def figures(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn figures are enough for a page."""
    out = tmp_path_factory.mktemp("f") / synthetic.TIER
    functions = draw.figures_of(STUDY)
    some = {name: functions[name] for name in ("variance_path", "snr")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw, "figures_of", lambda study: some)
        draw.draw_study(STUDY, root, out / STUDY)
    return out


@pytest.fixture(scope="module")
def raw(root: Path, figures: Path) -> str:
    build(root, figures, root / "report.html")
    return (root / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(raw: str) -> Page:
    return Page(raw)


def claims(root: Path) -> list[dict[str, str]]:
    with open(root / "claims.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_nothing_is_fetched_from_anywhere(raw: str, page: Page) -> None:
    assert all(source.startswith("data:image/png;base64,") for source in page.loads)
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    style = raw[raw.index("<style>") : raw.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_link_has_its_target_and_every_identifier_is_unique(page: Page) -> None:
    assert {f"#{STUDY}-variance_path", f"#{STUDY}-snr"} <= set(page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert "variance_map (not drawn)" in page.text


def test_every_claim_stands_with_statement_verdict_estimate_and_checks(
    page: Page, root: Path
) -> None:
    rows = claims(root)
    assert {row["verdict"] for row in rows} >= {"supported", "not run"}
    for row in rows:
        assert row["statement"] in page.text
        assert row["rule"] in page.text
        assert row["check"] in page.text
        assert f"{STUDY}-{row['claim']}" in page.ids
        assert shown.estimate(row) in page.text
        if row["check"] == "":
            decider = shown.decider(row, shown.checks_of(row, rows))
            assert shown.badge(decider) in page.text


def test_a_claim_shows_what_decides_it_and_what_hangs_on_its_rules(page: Page, root: Path) -> None:
    rows = claims(root)
    for row in rows:
        if row["check"] == "" and row["verdict"] != "not run":
            decided = shown.words(row, shown.checks_of(row, rows))
            assert f"{row['deciding']}: {decided}" in page.text
    assert "under 1 of 2 other rules; hangs on every seed" in page.text
    assert shown.registration(row for row in rows if row["check"] == "") in page.text


def test_the_plan_shows_what_decides_and_warns_of_margins_out_of_reach(
    root: Path, tmp_path: Path
) -> None:
    found = list(catalogue.known_lines(root / "claims.csv", [STUDY], "reduced"))
    rows = claims(root)
    for row in (row for row in rows if row["check"] == ""):
        line = next(line for line in found if line.split()[:1] == [row["claim"]])
        assert shown.word(row) in line
        assert shown.decided(row, shown.checks_of(row, rows)) in line
    (mean,) = (line for line in found if "landing-B11.mean:" in line)
    assert "its margin is 0.1 (" in mean
    assert not any("landing-B5.ratio" in line for line in found)  # a number, which has no margin
    lines = (root / "claims.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "claims.csv").write_text("".join(lines[:-1]), encoding="utf-8")
    (said,) = catalogue.known_lines(tmp_path / "claims.csv", [STUDY], "reduced")
    assert "judge the claims again" in said


def test_badges_count_as_many_verdicts_as_claims_csv(raw: str, root: Path) -> None:
    whole = [row for row in claims(root) if row["check"] == ""]
    for verdict in shown.SYMBOLS:
        badge = f'<td><span class="badge {verdict.replace(" ", "-")}">'
        assert raw.count(badge) == sum(row["verdict"] == verdict for row in whole)


def test_verdicts_come_before_tables_and_figures(raw: str) -> None:
    places = [
        raw.index(text) for text in ('id="verdicts"', "<h3>Tables", "<h3>Figures", 'id="data"')
    ]
    assert places == sorted(places)


def test_a_claim_names_the_command_and_links_the_runs_behind_it(page: Page) -> None:
    assert (
        "snakemake --cores all --config tier=smoke -- "
        f"results/smoke/runs/{STUDY}/path_to_truth" in page.text
    )
    for seed in range(3):
        assert f"#{STUDY}-path_to_truth-{seed}" in page.links
        assert f"{STUDY}-path_to_truth-{seed}" in page.ids


def test_tables_keep_their_bars_and_notes(page: Page) -> None:
    assert "a | b" in page.text
    assert "-0.27 ± 0.04" in page.text
    assert "Paired <by> seed." in page.text


def test_it_says_how_many_runs_finished_diverged_and_when_the_newest_ended(page: Page) -> None:
    assert "1 diverged; the newest finished at 2026-01-02 03:04:06 UTC." in page.text


def test_it_says_how_long_the_runs_of_every_study_took(page: Page) -> None:
    assert "longest run (s)" in page.text
    assert "Time by the clock" in page.text


def test_equal_results_give_equal_bytes_wherever_they_lie(
    root: Path, figures: Path, raw: str, tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / synthetic.TIER)
    shutil.copytree(figures, tmp_path / "figures")
    build(tmp_path / synthetic.TIER, tmp_path / "figures", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == raw


def test_a_study_without_rows_reads_not_run(tmp_path: Path) -> None:
    root = synthetic.empty(tmp_path / "reduced")
    (root / "claims.csv").write_text(",".join(CLAIM_COLUMNS) + "\n")
    (tmp_path / "figures" / STUDY).mkdir(parents=True)
    (tmp_path / "figures" / STUDY / draw.CAPTIONS).write_text("{}\n")
    build(root, tmp_path / "figures", tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "This study has no verdicts at this tier." in page.text
    assert "Nothing was run." in page.text
    assert page.text.count("not run") >= 5


def one_line(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that the user can mend says."""
    try:
        status: object = main([str(argument) for argument in arguments])
    except SystemExit as stopped:  # by what the arguments say alone
        status = stopped.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_report_without_rows_verdicts_or_figures_is_refused_in_one_line(
    root: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"

    def said(results: Path, drawn: Path) -> str:
        return one_line(capsys, "report", "--results", results, "--figures", drawn, "--out", out)

    assert f"{tmp_path / 'nowhere'}" in said(tmp_path / "nowhere", figures)
    (tmp_path / "none").mkdir()
    assert f"{tmp_path / 'none'}: no figures there" in said(root, tmp_path / "none")
    unjudged = synthetic.empty(tmp_path / "unjudged")
    assert f"{unjudged / 'claims.csv'}: not there" in said(unjudged, figures)
    (tmp_path / "cut" / STUDY).mkdir(parents=True)
    (tmp_path / "cut" / STUDY / draw.CAPTIONS).write_text('{"snr": "Sig')
    assert f"{draw.CAPTIONS}: damaged" in said(root, tmp_path / "cut")
    other = tmp_path / "published"
    shutil.copytree(figures, other)
    assert f"{root}, {other}: rows and figures of different tiers" in said(root, other)
    assert not out.exists()


def cells(row: int, **changed: str) -> Callable[[list[dict[str, str]]], object]:
    """An edit of the row of claims.csv with this index."""
    return lambda rows: rows[row].update(changed)


def of(claim: str, check: str = "", **changed: str) -> Callable[[list[dict[str, str]]], object]:
    def edit(rows: list[dict[str, str]]) -> None:
        next(r for r in rows if (r["claim"], r["check"]) == (claim, check)).update(changed)

    return edit


def without(claim: str, check: str = "") -> Callable[[list[dict[str, str]]], object]:
    def edit(rows: list[dict[str, str]]) -> None:
        rows[:] = [row for row in rows if (row["claim"], row["check"]) != (claim, check)]

    return edit


EDITS = {  # an edit of claims.csv, and what the line says
    "a claim less": (without("landing-B14"), "/landing-B14 is not there"),
    "a check less": (
        without("landing-B6", "near_truth"),
        "B6.near_truth is not there; judge the claims again",
    ),
    "no rows of a study with runs": (
        lambda rows: rows.clear(),
        f"{STUDY}/landing-B1 is not there",
    ),
    "a claim more": (
        lambda rows: rows.append({**rows[0], "claim": "landing-B99"}),
        "/landing-B99 is stated nowhere",
    ),
    "a check more": (
        lambda rows: rows.append({**rows[0], "check": "x"}),
        "/landing-B1.x is stated nowhere",
    ),
    "a claim twice": (lambda rows: rows.append(rows[0]), "stands there twice"),
    "another study": (cells(0, study="nope"), "line 2: study: 'nope' is not one of"),
    "another word": (cells(0, verdict="proven"), "line 2: .* verdict: 'proven' is not one of"),
    "no word": (cells(0, verdict=""), "verdict: '' is not one of"),
    "another record": (cells(0, registered="yes"), "registered: 'yes' is not one of before, "),
    "another tier": (cells(0, tier="weekend"), "tier: 'weekend' is not one of"),
    "no tier": (cells(0, tier="", verdict="supported"), "supported, but at no tier"),
    "a text for a number": (cells(0, estimate="high"), "estimate 'high' is no number"),
    "another statement": (cells(0, statement="It holds."), "another statement than claims.yaml"),
    "another rule": (
        of("landing-B6", "near_truth", rule="mean < 1e9"),
        "B6.near_truth has another rule than claims.yaml",
    ),
    "a fact for a finding": (of("landing-B6", kind="fact"), "B6 has another kind than claims.yaml"),
    "a check that decides no more": (
        of("landing-B6", "near_truth", role="beside"),
        "B6.near_truth has another role than claims.yaml",
    ),
    "a verdict against its checks": (
        of("landing-B6", verdict="contradicted"),
        "B6 is contradicted, by its checks supported",
    ),
    "a p value against its verdict": (
        of("landing-B6", "near_truth", p_support="0.04"),
        "B6 is supported, by its checks inconclusive",
    ),
    "another check that decides": (
        of("landing-B6", deciding="at_truth"),
        "B6 is decided by 'at_truth', by its checks ",
    ),
    "numbers of another check": (of("landing-B6", estimate="-9.5"), "another estimate than "),
}


@pytest.mark.parametrize("edit", EDITS)
def test_verdicts_that_were_edited_are_refused_in_one_line(
    edit: str, root: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = EDITS[edit]
    shutil.copytree(root, tmp_path / synthetic.TIER)
    rows = claims(root)
    change(rows)
    with open(tmp_path / synthetic.TIER / "claims.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, CLAIM_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path / "report.html"
    where = ("--results", tmp_path / synthetic.TIER, "--figures", figures, "--out", out)
    line = one_line(capsys, "report", *where)
    assert re.search(rf"claims\.csv.*{said}", line)
    assert not out.exists()


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("size", [0, 12, 500, -100])
def test_a_figure_that_is_damaged_is_named_in_one_line(
    listed: bool,
    size: int,
    root: Path,
    figures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    drawn, out = tmp_path / synthetic.TIER, tmp_path / "report.html"
    shutil.copytree(figures, drawn)
    if listed:
        draw.write_manifest(drawn, drawn / draw.MANIFEST)
    build(root, drawn, out)
    out.unlink()
    picture = drawn / STUDY / "snr.png"
    picture.write_bytes(picture.read_bytes()[:size])
    line = one_line(capsys, "report", "--results", root, "--figures", drawn, "--out", out)
    assert f"{picture}: {'not as in manifest.json' if listed else 'no whole PNG'}" in line
    assert not out.exists()


def test_figures_are_those_that_the_manifest_lists(
    root: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / synthetic.TIER
    shutil.copytree(figures, drawn)
    manifest = draw.write_manifest(drawn, drawn / draw.MANIFEST)
    words = ("report", "--results", root, "--figures", drawn, "--out", tmp_path / "report.html")
    (drawn / STUDY / "variance_path.pdf").rename(tmp_path / "variance_path.pdf")
    assert "variance_path.pdf: not as in manifest.json" in one_line(capsys, *words)
    (tmp_path / "variance_path.pdf").rename(drawn / STUDY / "variance_path.pdf")
    shutil.copy(drawn / STUDY / "snr.png", drawn / STUDY / "variance_path.png")
    assert "variance_path.png: not as in manifest.json" in one_line(capsys, *words)
    manifest.write_text(manifest.read_text()[:-40])
    assert "manifest.json: damaged" in one_line(capsys, *words)


def test_a_manifest_of_nothing_or_of_a_lost_figure_is_refused_in_one_line(
    figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "manifest.json"
    line = one_line(capsys, "manifest", "--figures", tmp_path, "--out", out)
    assert f"{tmp_path}: no figures there" in line
    line = one_line(capsys, "manifest", "--figures", tmp_path / "nowhere", "--out", out)
    assert str(tmp_path / "nowhere") in line
    shutil.copytree(figures, tmp_path / "figures")
    (tmp_path / "figures" / STUDY / "snr.pdf").unlink()
    line = one_line(capsys, "manifest", "--figures", tmp_path / "figures", "--out", out)
    assert "snr.pdf: not there" in line
    assert not out.exists()


@pytest.mark.parametrize("command", ["figures", "tables", "claims"])
def test_an_unknown_study_is_named_with_the_nearest_in_one_line(
    command: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (command, "--results", root, "--out", tmp_path / "out", "--study")
    assert f"'nope' is not one of {', '.join(sorted(study_names()))}" in one_line(
        capsys, *arguments, "nope"
    )
    assert f"did you mean {STUDY!r}" in one_line(capsys, *arguments, "sticking_to_the_landing")
    assert not (tmp_path / "out").exists()
