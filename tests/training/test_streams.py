"""Named random streams."""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.training.streams import stream

N = 20_000


def _draw(seed: int, *names: str) -> Tensor:
    return torch.randn(N, generator=stream(seed, *names))


def test_a_stream_is_a_function_of_seed_and_names() -> None:
    assert torch.equal(_draw(3, "noise", "mnist"), _draw(3, "noise", "mnist"))


def test_streams_do_not_depend_on_what_was_drawn_elsewhere() -> None:
    first = stream(0, "init", "mnist")
    torch.randn(5, generator=stream(0, "noise", "mnist"))
    torch.manual_seed(1)
    assert torch.equal(torch.randn(N, generator=first), _draw(0, "init", "mnist"))


def test_other_seeds_names_or_splittings_of_names_are_uncorrelated() -> None:
    draws = torch.stack(
        [
            _draw(0, "noise", "mnist"),
            _draw(1, "noise", "mnist"),
            _draw(0, "order", "mnist"),
            _draw(0, "noise", "digits"),
            _draw(0, "noise"),
            _draw(0, "noisemnist"),
            _draw(0, "mnist", "noise"),
            _draw(0, 'noise", "mnist'),
        ]
    )
    correlations = torch.corrcoef(draws) - torch.eye(len(draws))
    assert correlations.abs().max() < 6 / N**0.5
