# From rows to products. Nothing here trains or imports torch: a change of style redraws, no more.
# Seconds each, so on a cluster they run where Snakemake does, as does collection.
for study in STUDIES:

    rule:
        name:
            f"figures_{study}"
        input:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            code=sources(f"studies/{study}/figures.py", "drawing/draw.py"),
        output:
            shipped(figures(study, FIGURES)),
            shown=shipped(f"{FIGURES}/{study}/drawn.json"),
            captions=f"{FIGURES}/{study}/captions.json",
        log:
            f"logs/{TIER}/figures/{study}.log",
        localrule: True
        conda:
            "../envs/paper_repro.yaml"
        params:
            content=content(sources(f"studies/{study}/figures.py", "drawing/draw.py")),
            study=study,
            root=subpath(input[0], parent=True),
            out=subpath(output.captions, parent=True),
        shell:
            '"$PYTHON" -m paper_repro figures --study {params.study:q} --results {params.root:q}'
            " --out {params.out:q} 2> {log:q}"

    rule:
        name:
            f"tables_{study}"
        input:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            reported=local(STUDY_FOLDERS / study / "reported.csv"),
            code=sources(f"studies/{study}/tables.py", "drawing/tables.py"),
        output:
            shipped(tables(study, RESULTS)),
        log:
            f"logs/{TIER}/tables/{study}.log",
        localrule: True
        conda:
            "../envs/paper_repro.yaml"
        params:
            content=content(
                [
                    STUDY_FOLDERS / study / "reported.csv",
                    *sources(f"studies/{study}/tables.py", "drawing/tables.py"),
                ]
            ),
            study=study,
            root=subpath(input[0], parent=True),
            out=subpath(output[0], parent=True),
        shell:
            '"$PYTHON" -m paper_repro tables --study {params.study:q} --results {params.root:q}'
            " --out {params.out:q} 2> {log:q}"

    rule:
        name:
            f"claims_{study}"
        input:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            claims=local(STUDY_FOLDERS / study / "claims.yaml"),
            reported=local(STUDY_FOLDERS / study / "reported.csv"),
            schema=local(SCHEMAS / "claims.schema.yaml"),
            code=[
                *sources("claims/verdicts.py", "claims/robustness.py"),
                *samples(study),
            ],
        output:
            claims=f"{RESULTS}/studies/{study}/claims.csv",
            robustness=f"{RESULTS}/studies/{study}/robustness.csv",
        log:
            f"logs/{TIER}/claims/{study}.log",
        localrule: True
        conda:
            "../envs/paper_repro.yaml"
        params:
            content=content(
                [
                    STUDY_FOLDERS / study / "claims.yaml",
                    STUDY_FOLDERS / study / "reported.csv",
                    SCHEMAS / "claims.schema.yaml",
                    *samples(study),
                    *sources("claims/verdicts.py", "claims/robustness.py"),
                ]
            ),
            study=study,
            root=subpath(input[0], parent=True),
        shell:
            '"$PYTHON" -m paper_repro claims --study {params.study:q} --results {params.root:q}'
            " --out {output.claims:q} --robustness {output.robustness:q} 2> {log:q}"

    rule:
        name:
            study
        input:
            getattr(rules, f"figures_{study}").output,
            getattr(rules, f"tables_{study}").output,
            getattr(rules, f"claims_{study}").output,
        localrule: True


rule draw_manifest:
    input:
        [getattr(rules, f"figures_{study}").output for study in STUDIES],
        code=sources("drawing/draw.py"),
    output:
        f"{FIGURES}/manifest.json",
    log:
        f"logs/{TIER}/manifest.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    params:
        content=content(sources("drawing/draw.py")),
        root=subpath(output[0], parent=True),
    shell:
        '"$PYTHON" -m paper_repro manifest --figures {params.root:q} --out {output:q} 2> {log:q}'


rule render_tables:
    input:
        [getattr(rules, f"tables_{study}").output for study in STUDIES],
    output:
        touch(f"{RESULTS}/studies/tables.done"),
    log:
        f"logs/{TIER}/tables.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    shell:
        "echo {input:q} > {log:q}"


rule evaluate_claims:
    input:
        claims=[f"{RESULTS}/studies/{study}/claims.csv" for study in STUDIES],
        code=sources("results/collect.py"),
    output:
        shipped(f"{RESULTS}/claims.csv"),
    log:
        f"logs/{TIER}/claims.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    params:
        content=content(sources("results/collect.py")),
    shell:
        '"$PYTHON" -m paper_repro join --out {output:q} {input.claims:q} 2> {log:q}'


rule render_robustness:
    input:
        files=[f"{RESULTS}/studies/{study}/robustness.csv" for study in STUDIES],
        code=sources("drawing/robustness.py"),
    output:
        table=shipped(f"{RESULTS}/tables/robustness.csv"),
        shown=shipped([f"{RESULTS}/tables/robustness.{kind}" for kind in ("md", "tex")]),
    log:
        f"logs/{TIER}/robustness.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    params:
        content=content(sources("drawing/robustness.py")),
    shell:
        '"$PYTHON" -m paper_repro robustness --out {output.table:q} {input.files:q} 2> {log:q}'


rule build_report:
    input:
        rules.render_robustness.output,
        [f"{root}/{table}" for root in JOINED for table in TABLES],
        rules.render_tables.output,
        rules.evaluate_claims.output,
        manifest=rules.draw_manifest.output[0],
        code=sources("report/page.py"),
    output:
        f"{RESULTS}/report.html",
    log:
        f"logs/{TIER}/report.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    params:
        content=content(sources("report/page.py")),
        results=subpath(output[0], parent=True),
        figures=subpath(input.manifest, parent=True),
    shell:
        '"$PYTHON" -m paper_repro report --results {params.results:q} --figures {params.figures:q}'
        " --out {output:q} 2> {log:q}"


onsuccess:
    report = Path(RESULTS, "report.html")
    if report.is_file() and report.stat().st_mtime >= STARTED:
        print(
            f"Verdicts, figures and tables: {RESULTS}/report.html", file=sys.stderr
        )
