"""Images as task vae sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from paper_repro.data import catalogue
from paper_repro.errors import UserError
from paper_repro.vae import data as images


@pytest.mark.parametrize(
    ("preprocessing", "levels"), [("unit", 17), ("binarised", 2), ("dequantised", 10**9)]
)
def test_pixels_are_what_the_preprocessing_says(preprocessing: str, levels: int) -> None:
    data = images.load("digits", preprocessing, "cpu")
    pixels = data.train[:200]
    x = data.preprocess(pixels, torch.Generator().manual_seed(0))
    assert 0 <= x.min() <= x.max() <= 1
    assert len(x.unique()) <= levels
    if preprocessing == "dequantised":  # u in [0, 1) fills the bin of its level
        assert torch.equal((x * 17).floor().clamp(max=16), pixels.float())
        offset = x * 17 - pixels
        assert abs(offset.mean() - 0.5) < 6 * (1 / 12 / offset.numel()) ** 0.5
        assert torch.allclose(x.mean(0), data.images.mean, atol=0.15)
    else:
        assert abs((x - pixels / 16).mean()) < 0.02


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda x: x.float() / 0, "pixels are not all whole numbers"),
        (lambda x: x * 0 + 17, "pixels are not all whole numbers 0..16"),
        (lambda x: x * 0, "are all equal"),
    ],
)
def test_a_data_set_with_impossible_pixels_is_refused(
    fault: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = catalogue.load("digits")
    bad = replace(good, train=fault(good.train))
    monkeypatch.setattr(catalogue, "load", lambda name: bad)
    with pytest.raises(UserError, match=f"dataset digits: .*{message}"):
        images.load.__wrapped__("digits", "unit", "cpu")
