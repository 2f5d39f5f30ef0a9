"""Figures of Fyffe, "There and Back Again" (arXiv 1912.10309). None is a figure of the paper."""

from __future__ import annotations

from paper_repro.drawing.draw import Figures
from paper_repro.studies.there_and_back_again import figures_theory

FIGURES: Figures = {
    "theory": figures_theory.theory,
}
