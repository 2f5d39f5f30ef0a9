"""Tables of Fyffe, "There and Back Again" (arXiv 1912.10309). None is a table of the paper."""

from __future__ import annotations

from paper_repro.drawing.tables import Tables
from paper_repro.studies.there_and_back_again import (
    tables_derived,
    tables_elbo,
    tables_likelihood,
    tables_networks,
)

TABLES: Tables = {
    "derived": tables_derived.derived,
    "elbo": tables_elbo.elbo,
    "elbo_common": tables_elbo.elbo_common,
    "elbo_differences": tables_elbo.elbo_differences,
    "scale": tables_likelihood.scale,
    "hessian": tables_networks.hessian,
    "outputs": tables_networks.outputs,
    "memorising": tables_likelihood.memorising,
    "bits": tables_likelihood.bits,
    "learning_rates": tables_networks.learning_rates,
}
