"""Figures of Dai, Wenliang and Wipf, "On the Value of Infinite Gradients" (NeurIPS 2021)."""

from __future__ import annotations

from paper_repro.drawing.draw import Figures
from paper_repro.studies.infinite_gradients import (
    figures_gamma,
    figures_informative,
    figures_landscape,
    figures_miniature,
    figures_outliers,
    figures_theory,
)

FIGURES: Figures = {
    "figure1": figures_outliers.figure1,
    "screening": figures_outliers.screening,
    "figure2": figures_theory.figure2,
    "figure3": figures_landscape.figure3,
    "figure3_trained": figures_landscape.figure3_trained,
    "figure4": figures_gamma.figure4,
    "gradient_conventions": figures_gamma.gradient_conventions,
    "miniature": figures_miniature.miniature,
    "anneal": figures_gamma.anneal,
    "over_regularised": figures_gamma.over_regularised,
    "celeba_pictures": figures_gamma.celeba_pictures,
    "informative": figures_informative.informative,
    "slope": figures_theory.slope,
    "beta_threshold": figures_theory.beta_threshold,
}
