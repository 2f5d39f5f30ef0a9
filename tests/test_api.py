"""The public functions, as their docstrings show them."""

from __future__ import annotations

import doctest
import subprocess
import sys

import pytest

import paper_repro
from paper_repro import api
from paper_repro.errors import UserError


def test_the_examples_in_the_docstrings_run() -> None:
    found = doctest.testmod(api)
    assert found.attempted >= 9
    assert not found.failed


def test_a_mistake_names_the_parameter() -> None:
    with pytest.raises(UserError, match=r"estimator: 'pth' is not one of .* did you mean 'path'"):
        paper_repro.build(
            dataset="digits", likelihood="bernoulli", objective="elbo", estimator="pth", steps=1
        )
    asked = {"dataset": "digits", "likelihood": "gaussian", "objective": "elbo"}
    asked |= {"estimator": "exact_kl"}
    for wrong, line in (
        ({"seed": "1"}, "seed: '1' is not a whole number"),
        ({"threads": 0}, "threads: 0 is not a whole number"),
        ({"device": "cud"}, "device: 'cud' is not one of"),
        (
            {"protocol": "bound", "test_images": 9},
            "protocol: 'bound' is not one of .* did you mean 'bounds'",
        ),
    ):
        with pytest.raises(UserError, match=line):
            paper_repro.build(**asked, steps=1, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"tier: 'pubished' is not one of .* 'published'"):
        paper_repro.load("pubished")
    with pytest.raises(UserError, match="no tables of tier quick"):
        paper_repro.load("quick", root="nowhere")


def test_importing_the_package_loads_neither_pandas_nor_torch() -> None:
    code = "import sys, paper_repro; print(sorted({'pandas', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
