"""Drawn data sets whose latent dimension is known: sprites, faces, manifold.

All three are ours. Each is a fixed sample of latents (numpy's legacy generator, whose streams are
frozen) put through a smooth renderer into [0, 1] and stored as 8-bit pixels. Rounding moves a pixel
by at most 1/510, so "known dimension" holds for what a model can see above that scale: a decoder
variance can follow the data down to 1/(12 * 255^2) = 1.3e-6 per pixel and no further.

- ``sprites`` (16x16, after dSprites, Matthey et al. 2017): ellipse, rectangle or triangle with a
  position, a size and an angle: 4 continuous latents and one of 3 shapes.
- ``faces`` (24x24, in the spirit of Chernoff 1973): 8 continuous latents.
- ``manifold`` (8x8): 5 Gaussian latents through a random sine layer and a tanh layer, the kind of
  synthetic manifold used by Dai & Wipf (2019); every pixel depends on every latent.
"""

from __future__ import annotations

import numpy as np

from paper_repro.data.pool import Pool, consecutive

COUNTS = (8000, 1000, 1000)
CHUNK = 100  # pictures rendered at a time, so that the work stays in the processor's cache
LATENTS = {
    "sprites": ("x", "y", "size", "angle"),
    "faces": ("width", "height", "eye_distance", "eye_size", "gaze", "brow", "mouth", "smile"),
    "manifold": ("z1", "z2", "z3", "z4", "z5"),
}
SHAPES = ("ellipse", "rectangle", "triangle")
SEEDS = {"sprites": 1, "faces": 2, "manifold": 3}


def read(name: str) -> Pool:
    """The pool of ``sprites``, ``faces`` or ``manifold``."""
    parts = np.split(draw(name, sum(COUNTS)), range(CHUNK, sum(COUNTS), CHUNK))
    images = np.concatenate([np.round(255 * render(name, z)).astype(np.uint8) for z in parts])
    return Pool(images[:, None], consecutive(COUNTS), note=f"latents: {', '.join(LATENTS[name])}")


def draw(name: str, count: int) -> np.ndarray:
    """The first `count` latents of set `name`, float64 [count, L]; sprites have a last column
    with the number of the shape."""
    random = np.random.RandomState(SEEDS[name])
    if name == "manifold":
        return random.standard_normal((count, len(LATENTS[name])))
    if name == "faces":
        return random.uniform(-1, 1, (count, len(LATENTS[name])))
    low, high = [-0.4, -0.4, 0.35, 0.0, 0.0], [0.4, 0.4, 0.65, 2 * np.pi, len(SHAPES)]
    latents = random.uniform(low, high, (count, 5))
    latents[:, 4] = np.floor(latents[:, 4])
    return latents


def render(name: str, latents: np.ndarray) -> np.ndarray:
    """Pictures of `latents` before rounding: float64 [N, H, W] in [0, 1]."""
    return {"sprites": sprites, "faces": faces, "manifold": manifold}[name](latents)


def sprites(latents: np.ndarray) -> np.ndarray:
    """[N, 5] (x, y, size, angle, shape) -> [N, 16, 16]: a white shape on black."""
    x, y, pixel = _grid(16)
    column, row, size, angle, shape = latents.T[:, :, None, None]
    cos, sin = np.cos(angle), np.sin(angle)
    u = (cos * (x - column) + sin * (y - row)) / size  # along the shape, in units of its size
    v = (cos * (y - row) - sin * (x - column)) / size
    # Depth inside the edge, in units of the size. Each shape is about twice as long as wide, so
    # that no angle is lost to symmetry except the half turn of ellipse and rectangle.
    ellipse = 1 - np.sqrt(u * u + 4 * v * v)
    rectangle = np.minimum(0.9 - np.abs(u), 0.45 - np.abs(v))
    triangle = np.minimum(u + 0.7, 0.9 * (0.55 - 0.45 * u - np.abs(v)))
    depth = np.where(shape == 0, ellipse, np.where(shape == 1, rectangle, triangle))
    return _soft(depth * size, pixel)


def faces(latents: np.ndarray) -> np.ndarray:
    """[N, 8] in [-1, 1], named in LATENTS -> [N, 24, 24]: a light face on a dark ground."""
    x, y, pixel = _grid(24)
    width, height, distance, eye, gaze, brow, mouth, smile = latents.T[:, :, None, None]
    side = np.abs(x)  # the face is symmetric but for the gaze

    def oval(dx: np.ndarray, dy: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return _soft((1 - np.sqrt((dx / a) ** 2 + (dy / b) ** 2)) * np.minimum(a, b), pixel)

    centre, radius = 0.30 + 0.07 * distance, 0.14 + 0.04 * eye
    level = y + 0.15  # height below the eyes
    pupil = side - centre - 0.07 * gaze * np.sign(x)
    lid = level + 0.27 + 0.25 * brow * (side - centre)
    lip = y - 0.42 - 0.9 * smile * (0.04 - x * x)
    layers = (
        (0.75, oval(x, y, 0.70 + 0.10 * width, 0.85 + 0.10 * height)),
        (1.00, oval(side - centre, level, 1.3 * radius, radius)),
        (0.05, oval(pupil, level, 0.5 * radius, 0.6 * radius)),
        (
            0.20,
            np.minimum(
                _soft(0.16 - np.abs(side - centre), pixel), _soft(0.04 - np.abs(lid), pixel)
            ),
        ),
        (
            0.30,
            np.minimum(_soft(0.30 + 0.10 * mouth - side, pixel), _soft(0.05 - np.abs(lip), pixel)),
        ),
    )
    picture = np.full((len(latents), 24, 24), 0.1)
    for grey, mask in layers:
        picture += (grey - picture) * mask
    return picture


def manifold(latents: np.ndarray) -> np.ndarray:
    """[N, 5] -> [N, 8, 8]: 1/2 + 1/2 tanh(B sin(A z + a)) with fixed random A, a, B."""
    random = np.random.RandomState(0)
    inner = random.standard_normal((32, 5)) / np.sqrt(5)
    phase = random.uniform(0, 2 * np.pi, 32)
    outer = random.standard_normal((64, 32)) / 4  # a sine has variance 1/2: pre-activations ~ 1
    hidden = np.sin(np.einsum("hl,nl->nh", inner, latents) + phase)
    return 0.5 + 0.5 * np.tanh(np.einsum("ph,nh->np", outer, hidden)).reshape(-1, 8, 8)


def _grid(side: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Pixel centres x [1, side] and y [side, 1], downwards, in [-1, 1], and the width of one."""
    axis = (np.arange(side) + 0.5) * 2 / side - 1
    return axis[None, :], axis[:, None], 2 / side


def _soft(depth: np.ndarray, pixel: float) -> np.ndarray:
    """Ink at `depth` inside an edge: a linear ramp two pixels wide, so that pictures move smoothly
    with their latents."""
    return np.clip(0.5 + depth / (2 * pixel), 0, 1)
