# Training: one job trains all seeds of its cells; finished seeds wait in the run store.
def cells_in(folders):
    return [CELLS[cell_of(folder)] for folder in folders]


def code_of(folders):
    """Sources of a job, whose folders are made anew where their content is not what was written."""
    for folder in folders:
        if workflow.is_main_process and (wrong := damaged(folder)):
            if folder not in workflow.dag.forcefiles:
                print(f"{wrong}; its job runs again", file=sys.stderr)
            workflow.dag.forcefiles.add(folder)
    return cell_sources(cells_in(folders))


for job, folders in training_jobs(
    CELLS, config["cells_per_job"], f"{RESULTS}/runs"
).items():

    rule:
        name:
            job
        input:
            givers=lambda w, folders=folders: givers(
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
            gpu=gpus(config["device"]),
        params:
            # What is computed: a change re-runs the job.
            runs=lambda w, output: [
                (cell.digest(), len(cell.seeds)) for cell in cells_in(output)
            ],
            study=lambda w, output: cell_of(output[0])[0],
            cells=lambda w, output: [cell.id for cell in cells_in(output)],
            seeds=lambda w, output: max(len(cell.seeds) for cell in cells_in(output)),
            data=[f"--data-dir={config['data_dir']}"] * bool(config["data_dir"])
            + ["--no-download"] * (not config["download"]),
            device=config["device"],
            tier=TIER,
        shell:
            "python -m paper_repro train --tier {params.tier} --study {params.study}"
            " --cell {params.cells} --seeds {params.seeds} --device {params.device}"
            " --threads {threads} --log {log} {params.data:q}"


onstart:
    if TIER in {"reduced", "paper"}:
        for line in plan_lines(None, TIER):
            print(line, file=sys.stderr)
