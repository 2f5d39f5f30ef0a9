"""Tables of Rezende and Viola, "Taming VAEs" (arXiv 1810.00597)."""

from __future__ import annotations

from paper_repro.drawing.tables import Tables
from paper_repro.studies.taming_vaes import (
    tables_constraints,
    tables_method,
    tables_plane,
    tables_theory,
)

TABLES: Tables = {
    "table1": tables_constraints.table1,
    "table2": tables_method.table2,
    "plane": tables_plane.plane,
    "same_error": tables_method.same_error,
    "annealing": tables_plane.annealing,
    "tuning": tables_plane.tuning,
    "sensitivity": tables_method.sensitivity,
    "propositions": tables_theory.propositions,
    "step_size": tables_theory.step_size,
    "linear": tables_theory.linear,
}
