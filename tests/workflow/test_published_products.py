"""Making what is shipped anew leaves a clone as it was."""

from __future__ import annotations

import json
import re

import pytest
from matplotlib import image

from tests.workflow.conftest import Clone, copy_checkout

STUDY = "sticking_the_landing"
PUBLISHED = ("--cores", "2", "--config", "tier=published")


def test_products_that_say_the_same_stay_and_what_says_something_else_is_replaced(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clone: Clone = copy_checkout(tmp_path_factory.mktemp("published"))
    figures = clone.folder / "figures/published" / STUDY
    tables = clone.folder / "results/published/tables"
    # As another machine leaves them: other bytes, the same pictures and numbers.
    image.imsave(figures / "fig1.png", image.imread(figures / "fig1.png"))
    (figures / "fig1.pdf").write_bytes((figures / "fig1.pdf").read_bytes() + b"\n")
    table = tables / f"{STUDY}_table1.csv"
    head, row, *rest = table.read_text().splitlines()
    digits = re.compile(r"(\.\d{7,})(?=,|$)")  # an eleventh digit
    assert digits.search(row)
    table.write_text("\n".join([head, digits.sub(r"\g<1>1", row), *rest]) + "\n")
    kept = {path: path.read_bytes() for path in (*figures.parent.rglob("*.p*"), *tables.iterdir())}
    # And one figure that shows something else than the rows say.
    shown = json.loads((figures / "drawn.json").read_text())
    shown["snr"]["panels"][0]["sums"][0] += 1
    (figures / "drawn.json").write_text(json.dumps(shown))
    wrong = figures / "snr.png"
    wrong.write_bytes((figures / "flow.png").read_bytes())
    clone.snakemake(*PUBLISHED, "--forcerun", f"figures_{STUDY}", f"tables_{STUDY}", "--", STUDY)
    changed = {path.name for path, raw in kept.items() if path.read_bytes() != raw}
    assert changed <= {"snr.png", "snr.pdf"}
    assert wrong.read_bytes() != (figures / "flow.png").read_bytes()
    assert clone.snakemake("--dry-run", *PUBLISHED, "--", STUDY).count("Nothing to be done") == 1
