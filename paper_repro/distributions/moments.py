"""The first four central moments of a latent, dimension by dimension.

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587), Proposition 1: with
independent components these four are all that a linear decoder's expected log-likelihood needs.
They are marginal: the entries of one categorical group, or the dimensions of a mixture, depend on
each other, and what depends on that is not in here.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class CentralMoments:
    """Mean and central moments E (z - mean)^n of every dimension: each [*batch, D].

    Raises ValueError, naming the argument, where shapes do not agree.
    """

    mean: Tensor
    second: Tensor
    third: Tensor
    fourth: Tensor

    def __post_init__(self) -> None:
        for name in ("second", "third", "fourth"):
            if (found := getattr(self, name)).shape != self.mean.shape:
                raise ValueError(
                    f"{name}: shape {list(found.shape)} differs from mean's {list(self.mean.shape)}"
                )

    @property
    def third_cumulant(self) -> Tensor:
        """k3, which is the third central moment."""
        return self.third

    @property
    def fourth_cumulant(self) -> Tensor:
        """k4 = fourth - 3 second^2: zero for a Gaussian."""
        return self.fourth - 3 * self.second.square()
