# What every rule needs: the checked configuration and its cells.
import shlex
import sys
import time
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from paper_repro.catalogue import summary
from paper_repro.registry import PACKAGE
from paper_repro.registry import STUDIES as STUDY_FOLDERS
from paper_repro.schemas import SCHEMAS
from paper_repro.workflow import (
    cell_of,
    cell_sources,
    check_device,
    check_place,
    content,
    damaged,
    data_options,
    entries,
    figures,
    source_runs,
    gpus,
    load_cells,
    local,
    memory_mb,
    minutes,
    outdated,
    require_data,
    samples,
    sources,
    tables,
    training_jobs,
)

check_place(workflow.basedir)
CELLS = load_cells(config, claims=workflow.is_main_process)
check_device(config["device"], local=not workflow.non_local_exec)
STUDIES = config["studies"]
RESULTS = f"results/{TIER}"
FIGURES = f"figures/{TIER}"
STARTED = time.time()
TABLES = [
    "metrics.csv",
    "curves.csv.gz",
    "cells.csv",
    "runs.csv",
    "costs.csv",
    "registrations.csv",
]
ROOTS = {study: f"{RESULTS}/studies/{study}" for study in STUDIES}  # of its tables
# Where the report reads: what is published is not joined, so that an import rewrites one study.
JOINED = list(ROOTS.values()) if TIER == "published" else [RESULTS]

# What is shipped stays where a new version says the same (paper_repro/results/keeping.py): there
# Snakemake must not delete the old one first.
shipped = update if TIER == "published" else lambda files: files

# Jobs run the Python that runs Snakemake, activated or not (under --sdm conda the environment's), and
# the package that planned them, from any working directory. Where runs lie is no parameter of a rule:
# it changes no number. On Linux jobs keep freed memory, which makes evaluation 1.5 times as fast
# (docs/performance.md).
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
PREFIX = (
    "set -euo pipefail;"  # Snakemake's own, which a prefix replaces
    f" PYTHON={'python' if CONDA else shlex.quote(sys.executable)}"
    f" STORE={shlex.quote(str(Path(config.get('store', '')).expanduser()))};"
    f" export PYTHONPATH={shlex.quote(str(PACKAGE.parent))}${{PYTHONPATH:+:$PYTHONPATH}}"
    " MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824; "
)
shell.prefix(PREFIX.replace("{", "{{").replace("}", "}}"))


# One job at a time holds this machine's GPU; on a cluster the scheduler counts them.
resource_scopes:
    gpu="local",
