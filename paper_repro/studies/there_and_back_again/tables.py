"""Tables of Fyffe, "There and Back Again" (arXiv 1912.10309). None is a table of the paper."""

from __future__ import annotations

from paper_repro.drawing.tables import Tables
from paper_repro.studies.there_and_back_again import tables_derived

TABLES: Tables = {
    "derived": tables_derived.derived,
}
