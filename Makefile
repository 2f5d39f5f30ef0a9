# One command each; bare `make` explains them. Everything runs from .venv, set up on first use.
PYTHON ?= python3
TIER ?= quick
CORES ?= all
CONFIG =
UV ?= uv
COMPILE = $(UV) pip compile --universal --python-version 3.11 --fork-strategy fewest \
    --exclude-newer '7 days' --generate-hashes --no-emit-index-url --no-emit-find-links \
    --custom-compile-command 'make lock' --quiet

# Make takes any variable and ignores those that nothing reads: `make tier=smoke` would train another tier.
KNOWN := TIER CORES CONFIG PYTHON UV
EMPTY :=
GIVEN = $(subst \$(EMPTY) $(EMPTY),_,$(MAKEOVERRIDES))
$(foreach name,$(filter-out $(KNOWN),$(foreach pair,$(GIVEN),$(firstword $(subst =, ,$(pair))))), \
    $(error $(name): no variable of this Makefile; it has $(KNOWN)))

BIN := .venv/bin
READY := .venv/.installed
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# Targets come first: everything behind --config is taken for a key. The launcher removes the locks of
# a run that was killed; one started here is at work for as long as its own lock is held.
SNAKEMAKE = $(BIN)/python -m paper_repro.launch $@ --cores $(CORES) --config tier=$(TIER) $(CONFIG) $(REDO)
# What is shipped is drawn anew, whatever the dates of its files in a clone.
REDO = $(if $(filter published,$(TIER)),--forceall)

.DEFAULT_GOAL := help
.PHONY: help setup slurm all reproduce fetch figures tables claims report test lint format lock clean

help: ## this page
	@echo 'Five papers on training variational autoencoders, reproduced with a verdict per claim.'
	@echo
	@echo 'Usage: make TARGET [TIER=quick] [CORES=all] [CONFIG="key=value ..."] [PYTHON=python3]'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'TIER    smoke      embedded data: does everything work?    5 minutes on two cores'
	@echo '        quick      embedded data, no network              20 minutes on two cores'
	@# hours: begin
	@echo '        reduced    real data sets, shortened                915 of 1277 runs took 12.8 core-hours:'
	@echo '                   infinite_gradients 2.9, silent_gradients 1.9, sticking_the_landing 3.0,'
	@echo '                   taming_vaes 3.8, there_and_back_again 1.2, conformance 0.1'
	@# hours: end
	@echo '        paper      real data sets, full length              on a large GPU (not yet measured)'
	@echo '        published  nothing is trained: the rows in results/published, one minute'
	@echo 'CORES   a number, or all'
	@echo 'CONFIG  keys of config/README.md, such as CONFIG="data_dir=/data seeds=2"'
	@echo 'PYTHON  the interpreter behind .venv, 3.11 to 3.13'
	@echo
	@echo 'Read results/TIER/report.html first; figures/TIER holds the figures. Interrupt or kill at'
	@echo 'any time: the same command goes on where it stopped. (Of a killed plain snakemake the locks'
	@echo 'are left; `snakemake --unlock` removes them, then the same command goes on.)'

setup: $(READY) ## create .venv from requirements.lock: two minutes, 5.5 GB

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null || { \
	    echo '$(PYTHON) is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=...' >&2; exit 1; }
	@echo 'Setting up .venv from requirements.lock: about two minutes, 5.5 GB.'
	@$(PYTHON) -m venv .venv
	@$(PIP) --no-compile --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@# Here on all cores, where pip uses one, and not by pytest, to which warnings are errors.
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	@touch $@

slurm: $(READY) ## add SLURM's executor to .venv, from requirements-slurm.lock (docs/clusters.md)
	$(PIP) --no-deps --require-hashes --requirement requirements-slurm.lock

reproduce: all ## train what is missing, then draw figures, tables, verdicts and report

all fetch figures tables claims report: $(READY)
	$(SNAKEMAKE)

fetch: ## the real data sets of TIER, and nothing else
figures: ## the figures alone, and what they need
tables: ## the tables alone, and what they need
claims: ## the verdicts alone, and what they need
report: ## results/TIER/report.html, and what it needs

test: $(READY) ## the test suite: about 18 minutes on two cores
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## ruff, mypy, import-linter, snakefmt and snakemake --lint, all of which must be clean
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(READY) ## rewrite Python and Snakemake files in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

lock: ## resolve requirements.lock anew (needs uv); delete the file first to upgrade everything
	@# A week's delay lets mirrors catch up and bad uploads be withdrawn; one version serves all Pythons.
	$(COMPILE) pyproject.toml requirements.in --extra test --output-file requirements.lock
	$(COMPILE) requirements-slurm.in --no-deps --constraint requirements.lock \
	    --output-file requirements-slurm.lock

clean: ## delete results, figures and logs of TIER; trained runs stay in the store, runs/
	@case '$(TIER)' in smoke|quick|reduced|paper) ;; \
	    *) echo 'clean: TIER must be smoke, quick, reduced or paper, not $(TIER)' >&2; exit 1 ;; esac
	rm -rf 'results/$(TIER)' 'figures/$(TIER)' 'logs/$(TIER)'
