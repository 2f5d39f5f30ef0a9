"""Figures of Fyffe, "There and Back Again" (arXiv 1912.10309). None is a figure of the paper."""

from __future__ import annotations

from paper_repro.drawing.draw import Figures
from paper_repro.studies.there_and_back_again import (
    figures_bits,
    figures_elbo,
    figures_hessian,
    figures_memorising,
    figures_progress,
    figures_samples,
    figures_theory,
)

FIGURES: Figures = {
    "theory": figures_theory.theory,
    "elbo": figures_elbo.elbo,
    "convergence": figures_elbo.convergence,
    "scale": figures_progress.scale,
    "hessian": figures_hessian.hessian,
    "gap": figures_progress.gap,
    "samples": figures_samples.samples,
    "memorising": figures_memorising.memorising,
    "bits": figures_bits.bits,
}
