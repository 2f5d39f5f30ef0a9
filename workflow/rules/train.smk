# Training: one job trains all seeds of its cells; finished seeds wait in the run store.
def cells_in(folders):
    return [CELLS[cell_of(folder)] for folder in folders]


def code_of(folders):
    """Sources of a job, whose folders are made anew where their content is not what was written.
    Stops where the data of a job that is to train cannot be had."""
    for folder in folders if workflow.is_main_process else []:
        cell = CELLS[cell_of(folder)]
        if (wrong := damaged(folder, cell)) and folder not in workflow.dag.forcefiles:
            print(f"{wrong}; its job runs again", file=sys.stderr)
        if wrong or outdated(folder, cell):
            workflow.dag.forcefiles.add(folder)
    # Who has trained and draws anew needs no data.
    require_data(cells_in(f for f in folders if not Path(f).is_dir()), config)
    return cell_sources(cells_in(folders))


for job, folders in training_jobs(
    CELLS, config["cells_per_job"], f"{RESULTS}/runs"
).items():

    rule:
        name:
            job
        input:
            sources=lambda w, folders=folders: source_runs(
                cells_in(expand(folders, **w)), f"{RESULTS}/runs"
            ),
            code=lambda w, folders=folders: code_of(expand(folders, **w)),
        output:
            directory(folders),
        log:
            f"logs/{TIER}/train/{'{study}/{cell}' if job == 'train' else job}.log",
        conda:
            "../envs/paper_repro.yaml"
        threads: config["threads"]
        resources:
            # Evaluated late: only then is the executor known.
            gpu=lambda w: gpus(config["device"], cluster=not workflow.local_exec),
            mem_mb=lambda w, attempt, folders=folders: memory_mb(
                cells_in(expand(folders, **w)), attempt
            ),
            runtime=lambda w, attempt: minutes(TIER, attempt),
        params:
            # What is computed: a change re-runs the job. Not functions of input or output, which
            # Snakemake takes for derived from them and does not compare.
            runs=lambda w, folders=folders: [
                (cell.digest(), len(cell.seeds), entries(cell))
                for cell in cells_in(expand(folders, **w))
            ],
            content=lambda w, folders=folders: content(
                cell_sources(cells_in(expand(folders, **w)))
            ),
            study=lambda w, output: cell_of(output[0])[0],
            cells=lambda w, output: [cell.id for cell in cells_in(output)],
            seeds=lambda w, output: max(len(cell.seeds) for cell in cells_in(output)),
            data=lambda w: data_options(config),
            device=config["device"],
            tier=TIER,
        shell:
            '"$PYTHON" -m paper_repro train --tier {params.tier:q} --study {params.study:q}'
            " --cell {params.cells:q} --seeds {params.seeds:q} --device {params.device:q}"
            " --threads {threads} --log {log:q}"
            ' --store="$STORE" {params.data:q}'


onstart:
    if TIER in {"reduced", "paper"}:
        for line in summary(CELLS.values(), TIER):
            print(line, file=sys.stderr)
