"""A fresh clone installs what it was tested with, explains itself, and says whose work it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import paper_repro
from paper_repro import grid, registry
from paper_repro.schemas import read_yaml

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SLURM = (ROOT / "requirements-slurm.lock").read_text(encoding="utf-8")
PYTHONS = ("3.11", "3.12", "3.13")
LAUNCH = ".venv/bin/python -m paper_repro.launch"


def lock_entries(lock: str = LOCK) -> list[tuple[Requirement, list[str]]]:
    """A lock as (requirement, its hashes), comments dropped and continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE).replace("\\\n", " ")
    entries = []
    for line in text.splitlines():
        requirement, *hashes = line.split("--hash=")
        entries.append((Requirement(requirement), [text.strip() for text in hashes]))
    return entries


def pins(python: str) -> dict[str, str]:
    """Version of each distribution that the lock installs on Linux with this Python."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
    }
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement, _ in lock_entries()
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


def declared() -> list[Requirement]:
    """What pyproject.toml asks for: to run, to test and to build."""
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["test"],
        *PROJECT["build-system"]["requires"],
    ]
    return [Requirement(text) for text in wanted]


def test_every_locked_distribution_is_pinned_and_hashed():
    assert len(lock_entries()) > len(declared())
    for requirement, hashes in lock_entries() + lock_entries(SLURM):
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert not requirement.url, requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in hashes), requirement


@pytest.mark.parametrize("lock", [LOCK, re.sub(r"^ *#.*$", "", SLURM, flags=re.MULTILINE)])
def test_a_lock_names_no_index_and_no_path(lock):
    assert not re.search(r"://|^-|\bfile:|--(?!hash=)|[\s'\"]/", lock, flags=re.MULTILINE)


def test_the_lock_of_slurm_adds_the_extra_to_the_lock_and_repeats_nothing():
    added = {canonicalize_name(r.name): str(r.specifier)[2:] for r, _ in lock_entries(SLURM)}
    (extra,) = map(Requirement, PROJECT["project"]["optional-dependencies"]["slurm"])
    assert extra.specifier.contains(added[extra.name])
    assert not added.keys() & {canonicalize_name(r.name) for r, _ in lock_entries()}
    asked = (ROOT / "requirements-slurm.in").read_text(encoding="utf-8").splitlines()
    assert extra in [Requirement(line) for line in asked if not line.startswith("#")]


def test_the_image_is_built_from_a_base_by_digest_and_from_the_lock_and_named_in_run_json(
    monkeypatch,
):
    from paper_repro.training import provenance

    recipe = (ROOT / "Containerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"^FROM (.*)$", recipe, flags=re.MULTILINE)
    digest = re.fullmatch(r"python:3\.1[123]\.\d+-slim@(sha256:[0-9a-f]{64})", base)[1]
    assert f'PAPER_REPRO_IMAGE="from python@{digest}"' in recipe
    assert "--require-hashes --requirement requirements.lock" in recipe
    monkeypatch.delenv("PAPER_REPRO_IMAGE", raising=False)
    assert provenance.environment("cpu")["container"] == ""
    monkeypatch.setenv("PAPER_REPRO_IMAGE", digest)
    assert provenance.environment("cpu")["container"] == digest


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_what_the_project_declares(python):
    locked = pins(python)
    for requirement in declared():
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name}: run make lock"
        assert requirement.specifier.contains(locked[name]), f"{requirement}: {locked[name]}"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_pins_the_torch_pair_of_the_published_rows(python):
    locked = pins(python)
    assert (locked["torch"], locked["torchvision"]) == ("2.11.0", "0.26.0")


@cache
def installed_dependencies(name: str) -> frozenset[str]:
    """Names that an installed distribution requires here, without its extras."""
    wanted = [Requirement(text) for text in metadata.requires(name) or []]
    return frozenset(
        canonicalize_name(requirement.name)
        for requirement in wanted
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    )


def test_the_lock_is_closed_under_dependencies():
    locked = {canonicalize_name(requirement.name) for requirement, _ in lock_entries()}
    todo = {canonicalize_name(requirement.name) for requirement in declared()}
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        assert name in locked, f"{name}: run make lock"
        seen.add(name)
        todo |= installed_dependencies(name) - seen
    assert len(seen) > len(declared())


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    # Without what an outer `make test` hands down, its variables among it.
    handed_down = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "TIER", "CORES", "PYTHON"}
    environment = {name: value for name, value in os.environ.items() if name not in handed_down}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_bare_make_explains_every_target_tier_and_variable():
    page = make().stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    targets = set(phony.split()) - {"all"}
    assert targets >= {"reproduce", "figures", "tables", "claims", "report", "test", "lint"}
    for target in targets:
        assert re.search(rf"^  {target} +\S", page, flags=re.MULTILINE), target
    for word in ("smoke", "quick", "reduced", "paper", "published", "CORES", "CONFIG", "PYTHON"):
        assert word in page, word


@pytest.mark.parametrize("target", ["figures", "tables", "claims", "report"])
def test_make_hands_tier_cores_and_config_to_snakemake(target):
    done = make("-n", target, "TIER=smoke", "CORES=3", "CONFIG=seeds=2")
    # The target stands first: behind --config it would be taken for a key.
    wanted = f"{LAUNCH} {target} --cores 3 --config tier=smoke seeds=2"
    assert done.stdout.splitlines()[-1].rstrip() == wanted


def test_make_reproduce_makes_everything_at_tier_quick():
    command = make("-n", "reproduce").stdout.splitlines()[-1].rstrip()
    assert command == f"{LAUNCH} all --cores all --config tier=quick"


def test_make_refuses_an_unfit_python_in_one_line(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = make("-B", "setup", f"PYTHON={python}")
    assert done.returncode == 2
    message, outcome = done.stderr.splitlines()
    assert (
        message == f"{python} is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=..."
    )
    assert outcome.startswith("make: ***")


@pytest.mark.parametrize("tier", ["published", "", "..", "quick/../published"])
def test_make_clean_refuses_what_it_must_not_delete(tier):
    done = make("-n", "clean", f"TIER={tier}")
    assert done.returncode == 0  # -n shows the recipe; run its guard alone
    guard = done.stdout.split("rm -rf")[0]
    refused = subprocess.run(["sh", "-c", guard], capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("clean: TIER must be")


def test_continuous_integration_lints_then_tests():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.findall(r"^make (\w+)$", script.read_text(), flags=re.MULTILINE) == ["lint", "test"]


WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def papers() -> list[str]:
    """The studies that are of a paper."""
    grids = {study: registry.STUDIES / study / "grid.yaml" for study in grid.study_names()}
    return [study for study, path in grids.items() if not read_yaml(path).get("ours")]


@pytest.mark.parametrize(
    "name", ["README.md", "CITATION.cff", "Makefile", "CHANGELOG.md", "pyproject.toml"]
)
def test_the_number_of_papers_is_that_of_the_studies_of_a_paper(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    said = re.findall(rf"\b({'|'.join(WORDS)}|\d+)\s+papers\b", text, flags=re.IGNORECASE)
    assert {word.lower() for word in said} == {WORDS[len(papers())]}


def test_the_readme_lists_every_study_and_calls_none_unfinished():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| here\b.* \|$", text, flags=re.MULTILINE)
    assert sorted(rows) == sorted(grid.study_names())
    for name in ("README.md", "CITATION.cff", "CHANGELOG.md"):
        assert "under construction" not in (ROOT / name).read_text(encoding="utf-8").lower()


def test_citation_names_the_version_and_the_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["version"] == paper_repro.__version__
    assert citation["license"] == PROJECT["project"]["license"] == "MIT"
    first = {paper["authors"][0]["family-names"]: paper for paper in citation["references"]}
    assert first.keys() == {"Shao", "Dai", "Rezende", "Roeder", "Fyffe"}
    assert len(citation["references"]) == len(papers())
    for paper in first.values():
        assert paper["title"]
        assert paper["url"].startswith("https://")
        assert 2017 <= paper["year"] <= 2025


def test_licence_is_mit():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) 2026 the paper_repro authors\n")
    assert "without restriction" in text
    assert 'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND' in text


def test_changelog_opens_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", text, flags=re.MULTILINE)[0] == paper_repro.__version__


@pytest.mark.parametrize("given", ["tier=smoke", "TIERS=smoke", "Cores=2"])
def test_make_refuses_a_variable_that_it_would_ignore(given):
    """It would train, or delete, the default tier's instead."""
    for target in ("reproduce", "clean"):
        done = make("-n", target, given)
        assert (done.returncode, done.stdout) == (2, "")
        name = given.split("=")[0]
        assert f"{name}: no variable of this Makefile; it has TIER CORES" in done.stderr
    both = make("-n", "reproduce", "CONFIG=data_dir=/a/b seeds=2", "TIER=smoke")
    assert both.stdout.splitlines()[-1].endswith("--config tier=smoke data_dir=/a/b seeds=2 ")
