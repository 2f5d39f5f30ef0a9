"""Figures of Rezende and Viola, "Taming VAEs" (arXiv 1810.00597)."""

from __future__ import annotations

from paper_repro.drawing.draw import Figures
from paper_repro.studies.taming_vaes import (
    figures_constraints,
    figures_method,
    figures_plane,
    figures_samples,
    figures_theory,
)

FIGURES: Figures = {
    "figure1": figures_theory.figure1,
    "figure2": figures_theory.figure2,
    "figure2_random": figures_theory.figure2_random,
    "figure3": figures_plane.figure3,
    "figure4": figures_plane.figure4,
    "figure5": figures_plane.figure5,
    "figure6": figures_constraints.figure6,
    "figure7": figures_samples.figure7,
    "figure8": figures_constraints.figure8,
    "figure9": figures_samples.figure9,
    "figure10": figures_method.figure10,
    "figure11": figures_method.figure11,
    "step_size": figures_theory.step_size,
    "water_filling": figures_theory.water_filling,
}
