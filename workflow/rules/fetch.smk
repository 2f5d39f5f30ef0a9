# `snakemake fetch`: the real data sets of a tier, for machines whose jobs have no network.
rule fetch:
    log:
        f"logs/{TIER}/fetch.log",
    localrule: True
    conda:
        "../envs/paper_repro.yaml"
    params:
        tier=TIER,
        studies=STUDIES,
        data=lambda w: data_options({**config, "download": True}),
    shell:
        '"$PYTHON" -m paper_repro fetch --tier {params.tier:q} --study {params.studies:q}'
        " {params.data:q} 2>&1 | tee {log:q}"
