"""Drawn sets of real vectors, not pixels: low-dimensional manifolds without a scale of 0 to 1.

- ``tanh_manifold_clean``, ``tanh_manifold``, ``tanh_manifold_noisy``: after the synthetic manifolds
  of Dai and Wipf's public code (ICLR 2019), the sizes ours. x = tanh(c A) B / s + noise in R^100
  with c ~ N(0, I_5), A 5x64 of variance 1/5, B 64x100 of variance 2/64 and s such that the clean
  training vectors have standard deviation 1 about their mean; Gaussian noise of standard deviation
  0, 0.1 and 0.2. The three sets share c, A, B and, but for its size, the noise.
- ``curve``: three quarters of the unit circle in a plane of R^20, the inliers of Figure 1 of Dai,
  Wenliang and Wipf (NeurIPS 2021), which is a sketch: the numbers are ours. Each x is U (cos t,
  sin t), t uniform on [0, 3 pi / 2], U with orthonormal columns.
- ``curve_outliers``: uniform on the disc of radius 1.3 of the same plane about the circle's centre,
  except within 0.2 of the curve. All three splits are outliers; its test split is meant.

Values are rounded to multiples of 2^-12, those of the plane to 2^-20: so the last bits of tanh and
of matrix products, which differ between machines, leave no trace, and a fingerprint can be
recorded. Rounding adds a variance of 2^-24 / 12 = 5e-9 a dimension (8e-14 in the plane), below
which nothing that is learned from these sets means anything.
"""

from __future__ import annotations

import numpy as np

from paper_repro.data.pool import Pool, consecutive

NOISE = {"tanh_manifold_clean": 0.0, "tanh_manifold": 0.1, "tanh_manifold_noisy": 0.2}
MANIFOLD_COUNTS = (5000, 500, 2000)
CURVE_COUNTS = (2000, 200, 1000)
END = 1.5 * np.pi  # of the curve; it starts at 0
RADIUS, MARGIN = 1.3, 0.2  # of the outliers' disc; their distance from the curve
SEEDS = {"tanh_manifold": 11, "plane": 12, "curve": 13, "curve_outliers": 14}


def read(name: str) -> Pool:
    """The pool of a set: float32 [N, 1, 1, D], ``levels`` 0."""
    if name in NOISE:
        values, counts, grid = tanh_manifold(NOISE[name]), MANIFOLD_COUNTS, 2.0**-12
    else:
        points = {"curve": curve_points, "curve_outliers": outlying_points}[name]
        values, counts, grid = points(sum(CURVE_COUNTS)) @ plane().T, CURVE_COUNTS, 2.0**-20
    rounded = (np.round(values / grid) * grid).astype(np.float32)
    return Pool(rounded[:, None, None], consecutive(counts), levels=0)


def tanh_manifold(noise: float) -> np.ndarray:
    """All vectors before rounding, float64 [7500, 100]; `noise` is a standard deviation."""
    random = np.random.RandomState(SEEDS["tanh_manifold"])
    codes = random.standard_normal((sum(MANIFOLD_COUNTS), 5))
    inner = random.standard_normal((5, 64)) * np.sqrt(1 / 5)
    outer = random.standard_normal((64, 100)) * np.sqrt(2 / 64)
    clean = np.tanh(codes @ inner) @ outer
    clean /= clean[: MANIFOLD_COUNTS[0]].std()
    found: np.ndarray = clean + noise * random.standard_normal(clean.shape)
    return found


def plane() -> np.ndarray:
    """The plane of the curve and of its outliers: orthonormal columns, [20, 2]."""
    first, second = np.random.RandomState(SEEDS["plane"]).standard_normal((2, 20))
    first /= np.linalg.norm(first)
    second -= first * (first @ second)
    return np.stack([first, second / np.linalg.norm(second)], axis=1)


def curve_points(count: int) -> np.ndarray:
    """Points of the curve in its plane, [count, 2]."""
    t = np.random.RandomState(SEEDS["curve"]).uniform(0, END, count)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def outlying_points(count: int) -> np.ndarray:
    """Points of the disc far from the curve, [count, 2], by rejection from a square."""
    random = np.random.RandomState(SEEDS["curve_outliers"])
    points = random.uniform(-RADIUS, RADIUS, (4 * count, 2))
    inside = np.linalg.norm(points, axis=1) < RADIUS
    return points[inside & (distance(points) > MARGIN)][:count]


def distance(points: np.ndarray) -> np.ndarray:
    """Distance of points [N, 2] of the plane from the curve, [N]."""
    angle = np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)
    ends = np.array([[1.0, 0.0], [0.0, -1.0]])
    to_ends = np.linalg.norm(points[:, None] - ends, axis=2).min(1)
    return np.where(angle <= END, abs(np.linalg.norm(points, axis=1) - 1), to_ends)
