# Tier published in another folder than the clone: the shipped rows are copied there first.
SHIPPED = Path(workflow.basedir, "results/published")
DERIVED = {"tables", "studies", "claims.csv", "report.html"}

if SHIPPED.resolve() != Path(RESULTS).resolve():

    rule copy_shipped:
        input:
            [f"{SHIPPED}/{table}" for table in TABLES],
        output:
            [f"{RESULTS}/{table}" for table in TABLES],
        log:
            f"logs/{TIER}/copy.log",
        localrule: True
        conda:
            "../envs/paper_repro.yaml"
        params:
            shipped=sorted(
                path for path in SHIPPED.iterdir() if path.name not in DERIVED
            ),
            out=RESULTS,
        shell:
            "cp -R {params.shipped:q} {params.out:q} 2> {log:q}"
