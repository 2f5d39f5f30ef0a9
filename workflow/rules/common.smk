# What every rule needs: the checked configuration and its cells.
import sys
from pathlib import Path

from paper_repro.catalogue import plan_lines
from paper_repro.registry import STUDIES as STUDY_FOLDERS
from paper_repro.workflow import (
    cell_of,
    cell_sources,
    figures,
    givers,
    gpus,
    load_cells,
    local,
    sources,
    tables,
    training_jobs,
)

CELLS = load_cells(config)
STUDIES = config["studies"]
RESULTS = f"results/{TIER}"
FIGURES = f"figures/{TIER}"
TABLES = ["metrics.csv", "curves.csv.gz", "cells.csv", "runs.csv", "costs.csv"]
# A study's own tables; the published ones are shipped joined.
ROOTS = {
    s: RESULTS if TIER == "published" else f"{RESULTS}/studies/{s}" for s in STUDIES
}

# What is shipped stays where a new version says the same (paper_repro/analysis/keeping.py): there
# Snakemake must not delete the old one first.
shipped = update if TIER == "published" else lambda files: files

# Jobs use the Python that runs Snakemake, whether or not its environment is activated. On Linux they
# keep freed memory, which makes evaluation 1.5 times as fast (docs/performance.md).
shell.prefix(
    f"export PATH='{Path(sys.executable).parent}':\"$PATH\""
    " MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824; "
)
