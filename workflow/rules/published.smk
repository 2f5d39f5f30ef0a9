# Tier published: the rows of every study are shipped. In another folder than the clone they are
# copied there first, and a study of which nothing is shipped has tables without rows.
for study in STUDIES:
    folder = Path(workflow.basedir, "results/published/studies", study)
    there = (folder / TABLES[0]).is_file()

    if not there or folder.resolve() != Path(ROOTS[study]).resolve():

        rule:
            name:
                f"rows_{study}"
            input:
                [f"{folder}/{table}" for table in TABLES] if there else [],
            output:
                [f"{ROOTS[study]}/{table}" for table in TABLES],
            log:
                f"logs/{TIER}/rows/{study}.log",
            localrule: True
            conda:
                "../envs/paper_repro.yaml"
            params:
                folders=[str(folder)] if there else [],
                out=ROOTS[study],
            shell:
                '"$PYTHON" -m paper_repro merge --out {params.out:q} {params.folders:q} 2> {log:q}'
