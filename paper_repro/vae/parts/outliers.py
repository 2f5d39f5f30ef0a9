"""Outlier screening: how well a VAE's scores tell images of another data set from its own.

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021), section
2.2: outliers are told apart by their reconstruction error once the learned variance is small, and
superfluous latent dimensions do not spoil it. Scores, higher for outliers (which ones, and that
test images are compared with test images, is our choice):

- ``sse``: ||x - mu_x(mu_z(x))||^2, the decoder's mean at the posterior's mean;
- ``elbo``: -ELBO, the rate minus the mean of log p(x|z) over `samples` draws of z.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Generator, Tensor

from paper_repro.contracts import Objective
from paper_repro.errors import UserError
from paper_repro.metrics.auroc import auroc
from paper_repro.metrics.score_histogram import histograms
from paper_repro.rows import Row, coordinates
from paper_repro.training.streams import stream
from paper_repro.vae import data as pixels
from paper_repro.vae.data import Pixels
from paper_repro.vae.interface import Weights
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.trained import Trained, limit

COMPONENT = "part"
NAMED_BY = ("outliers",)
POINTS, COORDINATES = 500, 32  # points kept of each set where a point has few coordinates
SETS = ("inliers", "outliers")


def load(name: str, data: Pixels) -> Pixels | None:
    """The outlier set `name`, seen as `data` is, or None for "". UserError where it is the data
    set itself or its images have another shape."""
    if not name:
        return None
    if name == data.name:
        raise UserError(f"outliers: {name!r} is the data set of the run")
    found = pixels.load(name, data.preprocessing, str(data.test.device))
    if found.images.shape != data.images.shape:
        raise UserError(
            f"outliers: images of {name!r} are {list(found.images.shape)}, "
            f"those of {data.name!r} {list(data.images.shape)}"
        )
    return found


def fingerprint(data: Pixels, outliers: Pixels | None) -> str:
    """SHA-256 that covers both sets; that of `data` where there are no outliers."""
    if outliers is None:
        return data.fingerprint
    return hashlib.sha256(f"{data.fingerprint} {outliers.fingerprint}".encode()).hexdigest()


def evaluate(
    model: EncoderDecoder,
    weights: Weights,
    data: Pixels,
    outliers: Pixels | None,
    objective: Objective,
    p: Mapping[str, Any],
    seed: int,
) -> list[Row]:
    """Rows of the split "test", within ``model.evaluating()``: ``auroc`` of every score, and the
    outliers' mean error and ELBO. None without outliers; NaN where a score is not finite."""
    if outliers is None:
        return []
    trained = _trained(model, weights, data)
    pair = _seen(data, outliers, p["test_images"])
    scores = {"sse": [_errors(trained, x) for x in pair]}
    rows = [Row("outlier_sse", _mean(scores["sse"][1]), "sse/image", "test", coordinates(z="mean"))]
    if model.likelihood.DENSITY and objective.LIKE != "autoencoder":
        device = data.test.device
        noise = stream(seed, "evaluation", data.name, "outliers", device=device)
        fixed = stream(0, "evaluation", data.name, "pixels", device=device)
        train = data.preprocess(data.train[: p["train_images"]], fixed)
        trained.fit_on_train(objective, train, noise)
        scores["elbo"] = [-_elbo(trained, x, p["samples"], noise) for x in pair]
        at = coordinates(samples=p["samples"])
        rows.append(Row("outlier_elbo", -_mean(scores["elbo"][1]), "nats/image", "test", at))
    for name, (own, other) in scores.items():
        finite = bool(own.isfinite().all() and other.isfinite().all())
        area = auroc(own, other) if finite else math.nan
        rows.append(Row("auroc", area, "1", "test", coordinates(score=name)))
    return rows


def arrays(
    model: EncoderDecoder,
    weights: Weights,
    data: Pixels,
    outliers: Pixels | None,
    p: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """What the figures need, within ``model.evaluating()``; nothing without outliers.

    Histograms of the error (``score_edges`` [B + 1] and ``score_<set>`` [B]); of points of few
    coordinates also the first of each set, ``points_<set>``, and their reconstructions,
    ``mapped_<set>`` [N, D]; of images as many ``pictures_outliers`` (and, where they may be shown,
    ``originals_outliers``), uint8 [N, C, H, W], as the cell asks for `pictures`.
    """
    if outliers is None:
        return {}
    trained = _trained(model, weights, data)
    pair = _seen(data, outliers, p["test_images"])
    found = histograms(dict(zip(SETS, (_errors(trained, x) for x in pair), strict=True)))
    if model.pixels <= COORDINATES:
        for name, x in zip(SETS, pair, strict=True):
            points = x[:POINTS]
            found[f"points_{name}"] = points.cpu().numpy()
            found[f"mapped_{name}"] = _reconstructed(trained, points).cpu().numpy()
    elif p["pictures"]:
        images = pair[1][: p["pictures"]]
        found["pictures_outliers"] = outliers.shown(_reconstructed(trained, images)).cpu().numpy()
        if outliers.may_be_shown:
            found["originals_outliers"] = outliers.shown(images).cpu().numpy()
    return found


def _trained(model: EncoderDecoder, weights: Weights, data: Pixels) -> Trained:
    return Trained(model, weights, limit(model.pixels, data.test.device))


def _seen(data: Pixels, outliers: Pixels, count: int) -> list[Tensor]:
    """The first test images of both sets as the model sees them, [N, pixels] each; pixel noise is
    the same in all runs."""
    return [
        part.preprocess(part.test[:count], stream(0, "evaluation", part.name, "outliers", "pixels",
                                            device=part.test.device))
        for part in (data, outliers)
    ]  # fmt: skip


def _reconstructed(trained: Trained, x: Tensor) -> Tensor:
    return trained.mean(trained.posterior(x).mean_z())


def _errors(trained: Trained, x: Tensor) -> Tensor:
    """||x - mu_x(mu_z(x))||^2 of images x [N, pixels]: [N], sse/image."""
    return (x - _reconstructed(trained, x)).square().sum(-1)


def _elbo(trained: Trained, x: Tensor, samples: int, noise: Generator) -> Tensor:
    """ELBO of images x [N, pixels]: [N] in nats/image, the rate exact where it has a closed
    form."""
    draws = trained.draw(x, samples, noise)
    rate = trained.rate(trained.posterior(x))
    return draws.log_likelihood - (draws.log_ratio if rate is None else rate)


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
