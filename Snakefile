# Every estimator x data set x seed of the papers, their tables, figures and verdicts.
#
#   snakemake                                  the default tier, quick, on all cores (profiles/default)
#   snakemake --config tier=smoke              another: smoke, quick, reduced, paper, published
#   snakemake sticking_the_landing             one study
#   snakemake figures                          one kind of product
#   snakemake fetch --config tier=paper        the data sets of a tier, nothing else
from snakemake.utils import min_version

from paper_repro.workflow import tier_of

min_version("9.20")

TIER = tier_of(config, workflow.configfiles)


configfile: f"{workflow.basedir}/config/{TIER}.yaml"


include: "workflow/rules/common.smk"


if TIER == "published":

    include: "workflow/rules/published.smk"

else:

    include: "workflow/rules/fetch.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/collect.smk"


include: "workflow/rules/analysis.smk"


PRODUCTS = {
    "figures": rules.draw_manifest.output,
    "tables": rules.render_tables.output,
    "claims": [*rules.evaluate_claims.output, *rules.render_robustness.output],
    "report": rules.build_report.output,
}


rule all:
    default_target: True
    input:
        list(PRODUCTS.values()),
    localrule: True


for product, files in PRODUCTS.items():

    rule:
        name:
            product
        input:
            files,
        localrule: True
