# Collection: the rows of all runs of a study, then of all studies, in tidy tables.
for study in STUDIES:

    rule:
        name:
            f"collect_{study}"
        input:
            runs=[f"{RESULTS}/runs/{s}/{cell}" for s, cell in CELLS if s == study],
            code=sources("results/collect.py"),
        output:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            arrays=directory(f"{ROOTS[study]}/arrays"),
        log:
            f"logs/{TIER}/collect/{study}.log",
        localrule: True
        conda:
            "../envs/paper_repro.yaml"
        params:
            content=content(sources("results/collect.py")),
            study=study,
            tier=TIER,
            seeds=config["seeds"],
            runs=lambda w, input: Path(input.runs[0]).parents[1],
            out=subpath(output[0], parent=True),
        shell:
            '"$PYTHON" -m paper_repro collect --tier {params.tier:q} --study {params.study:q}'
            " --seeds {params.seeds:q} --runs {params.runs:q} --out {params.out:q} 2> {log:q}"


rule merge_studies:
    input:
        tables=[f"{ROOTS[study]}/{table}" for study in STUDIES for table in TABLES],
        code=sources("results/collect.py"),
    output:
        [f"{RESULTS}/{table}" for table in TABLES],
    log:
        f"logs/{TIER}/merge.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    params:
        content=content(sources("results/collect.py")),
        roots=lambda w, input: sorted(
            {str(Path(table).parent) for table in input.tables}
        ),
        out=subpath(output[0], parent=True),
    shell:
        '"$PYTHON" -m paper_repro merge --out {params.out:q} {params.roots:q} 2> {log:q}'
