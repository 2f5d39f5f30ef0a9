"""Figures of *Silent Gradients* (Shao, Liu and Van den Broeck, 2025, arXiv 2508.03587): the index.

`f1_method` to `f5_cifar10` have the contents of the paper's five figures, drawn by us; the others
show what its claims are about. E1 is `fixed_variance_curves` and `ceiling`, E2 `learned_variance`;
`gradients` and `exactness` look at the estimators themselves.
"""

from __future__ import annotations

from paper_repro.drawing.draw import Figures
from paper_repro.studies.silent_gradients import (
    figures_exact,
    figures_fixed,
    figures_gradients,
    figures_learned,
    figures_method,
    figures_pictures,
)

FIGURES: Figures = {
    "f1_method": figures_method.f1_method,
    "f2_fixed_variance": figures_pictures.f2_fixed_variance,
    "fixed_variance_curves": figures_fixed.fixed_variance_curves,
    "ceiling": figures_fixed.ceiling,
    "f3_mnist": figures_pictures.f3_mnist,
    "f4_imagenet": figures_pictures.f4_imagenet,
    "f5_cifar10": figures_pictures.f5_cifar10,
    "learned_variance": figures_learned.learned_variance,
    "gradients": figures_gradients.gradients,
    "exactness": figures_exact.exactness,
}
