"""Histograms of outlier scores on bins that all runs share, so that they can be added and compared.

Twenty bins a decade from 1e-6 to 1e4: squared errors of a few coordinates as well as of an image
(sse/image). What lies outside stands in the first or the last bin.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

EDGES = np.logspace(-6, 4, 201)


def histograms(scores: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """``score_edges`` [B + 1] and, for scores [N] >= 0 of each name, counts ``score_<name>`` [B];
    scores that are not finite are in no bin."""
    found = {"score_edges": EDGES}
    for name, values in scores.items():
        known = values.double().cpu().numpy()
        clipped = np.clip(known[np.isfinite(known)], EDGES[0], EDGES[-1])
        found[f"score_{name}"] = np.histogram(clipped, EDGES)[0].astype(np.int32)
    return found
