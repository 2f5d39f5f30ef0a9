# Training: one job trains all seeds of a cell; finished seeds wait in the run store.


rule train:
    input:
        givers=lambda w: givers(CELLS[w.study, w.cell], f"{RESULTS}/runs"),
        code=lambda w: cell_sources(CELLS[w.study, w.cell]),
    output:
        directory(f"{RESULTS}/runs/{{study}}/{{cell}}"),
    log:
        f"logs/{TIER}/train/{{study}}/{{cell}}.log",
    conda:
        "../envs/paper_repro.yaml"
    threads: config["threads"]
    resources:
        gpu=gpus(config["device"]),
    params:
        digest=lambda w: CELLS[w.study, w.cell].digest(),
        seeds=lambda w: len(CELLS[w.study, w.cell].seeds),
        data=[f"--data-dir={config['data_dir']}"] * bool(config["data_dir"])
        + ["--no-download"] * (not config["download"]),
        device=config["device"],
        tier=TIER,
    shell:
        "python -m paper_repro train --tier {params.tier} --study {wildcards.study}"
        " --cell {wildcards.cell} --seeds {params.seeds} --device {params.device}"
        " --threads {threads} --out {output} --log {log} {params.data:q}"


onstart:
    if TIER in {"reduced", "paper"}:
        for line in plan_lines(None, TIER):
            print(line, file=sys.stderr)
