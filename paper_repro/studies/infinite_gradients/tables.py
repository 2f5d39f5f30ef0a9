"""Tables of "On the Value of Infinite Gradients" (Dai, Wenliang and Wipf, NeurIPS 2021)."""

from __future__ import annotations

from paper_repro.drawing.tables import Tables
from paper_repro.studies.infinite_gradients import tables_gamma, tables_outliers, tables_theory

TABLES: Tables = {
    "figure1": tables_outliers.figure1,
    "screening": tables_outliers.screening,
    "figure4": tables_gamma.figure4,
    "gradient_norms": tables_gamma.gradient_norms,
    "active_dims": tables_gamma.active_dims,
    "miniature": tables_gamma.miniature,
    "anneal": tables_gamma.anneal,
    "over_regularised": tables_gamma.over_regularised,
    "informative": tables_outliers.informative,
    "theory": tables_theory.theory,
    "labyrinth": tables_theory.labyrinth,
    "landscape": tables_theory.landscape,
}
