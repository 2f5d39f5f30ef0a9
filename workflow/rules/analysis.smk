# From rows to products. Nothing here trains or imports torch: a change of style redraws, no more.
for study in STUDIES:

    rule:
        name:
            f"figures_{study}"
        input:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            code=sources(f"studies/{study}/figures.py", "analysis/draw.py"),
        output:
            shipped(figures(study, FIGURES)),
            shown=shipped(f"{FIGURES}/{study}/drawn.json"),
            captions=f"{FIGURES}/{study}/captions.json",
        log:
            f"logs/{TIER}/figures/{study}.log",
        conda:
            "../envs/paper_repro.yaml"
        params:
            study=study,
            root=subpath(input[0], parent=True),
            out=subpath(output.captions, parent=True),
        shell:
            "python -m paper_repro figures --study {params.study} --results {params.root}"
            " --out {params.out} 2> {log}"

    rule:
        name:
            f"tables_{study}"
        input:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            reported=local(STUDY_FOLDERS / study / "reported.csv"),
            code=sources(f"studies/{study}/tables.py", "analysis/tables.py"),
        output:
            shipped(tables(study, RESULTS)),
        log:
            f"logs/{TIER}/tables/{study}.log",
        conda:
            "../envs/paper_repro.yaml"
        params:
            study=study,
            root=subpath(input[0], parent=True),
            out=subpath(output[0], parent=True),
        shell:
            "python -m paper_repro tables --study {params.study} --results {params.root}"
            " --out {params.out} 2> {log}"

    rule:
        name:
            f"claims_{study}"
        input:
            [f"{ROOTS[study]}/{table}" for table in TABLES],
            claims=local(STUDY_FOLDERS / study / "claims.yaml"),
            reported=local(STUDY_FOLDERS / study / "reported.csv"),
            schema="workflow/schemas/claims.schema.yaml",
            code=sources("analysis/verdicts.py"),
        output:
            f"{RESULTS}/studies/{study}/claims.csv",
        log:
            f"logs/{TIER}/claims/{study}.log",
        conda:
            "../envs/paper_repro.yaml"
        params:
            study=study,
            root=subpath(input[0], parent=True),
        shell:
            "python -m paper_repro claims --study {params.study} --results {params.root}"
            " --out {output} 2> {log}"

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
        code=sources("analysis/draw.py"),
    output:
        f"{FIGURES}/manifest.json",
    log:
        f"logs/{TIER}/manifest.log",
    conda:
        "../envs/paper_repro.yaml"
    params:
        root=subpath(output[0], parent=True),
    shell:
        "python -m paper_repro manifest --figures {params.root} --out {output} 2> {log}"


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
        "echo {input} > {log}"


rule evaluate_claims:
    input:
        claims=[f"{RESULTS}/studies/{study}/claims.csv" for study in STUDIES],
        code=sources("analysis/collect.py"),
    output:
        shipped(f"{RESULTS}/claims.csv"),
    log:
        f"logs/{TIER}/claims.log",
    conda:
        "../envs/paper_repro.yaml"
    shell:
        "python -m paper_repro join --out {output} {input.claims} 2> {log}"


rule build_report:
    input:
        [f"{RESULTS}/{table}" for table in TABLES],
        rules.render_tables.output,
        rules.evaluate_claims.output,
        manifest=rules.draw_manifest.output[0],
        code=sources("report/page.py"),
    output:
        f"{RESULTS}/report.html",
    log:
        f"logs/{TIER}/report.log",
    conda:
        "../envs/paper_repro.yaml"
    params:
        results=subpath(output[0], parent=True),
        figures=subpath(input.manifest, parent=True),
    shell:
        "python -m paper_repro report --results {params.results} --figures {params.figures}"
        " --out {output} 2> {log}"


onsuccess:
    if Path(RESULTS, "report.html").is_file():
        print(
            f"Verdicts, figures and tables: {RESULTS}/report.html", file=sys.stderr
        )
