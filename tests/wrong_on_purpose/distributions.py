"""Mistakes in distributions: the facts of `tests/distributions` must tell them from the right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.flow import Flow, init_params
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.noise import gumbel
from tests.distributions import facts
from tests.distributions.facts import DISCRETE, MIXTURE, normal
from tests.wrong_on_purpose.case import Case


class MomentsOfTheOtherCode(Bernoulli):
    def central_moments(self) -> CentralMoments:
        return replace(Bernoulli(self.logits).central_moments(), mean=self.mean_z())


class DivergenceWithoutPrior(Bernoulli):
    def kl_standard(self) -> Tensor:
        return -self.entropy()


class DivergenceOfOneGroup(Categorical):
    def kl_standard(self) -> Tensor:
        return Categorical(self.logits[..., :1, :]).kl_standard()


class NormalForLogistic(Bernoulli):
    def _perturbed(self, noise: Any) -> Tensor:
        return self.logits + noise["z"]


class GumbelOfWrongSign(Categorical):
    def _perturbed(self, noise: Any) -> Tensor:
        return self.logits - gumbel(noise["z"]).unflatten(-1, tuple(self.logits.shape[-2:]))


class SampleOnOtherNoise(Bernoulli):
    def sample(self, noise: Any) -> Tensor:
        return super().sample({"z": -noise["z"]})


class ValueScaledToo(Bernoulli):
    def scaled(self, weight: float | Tensor) -> Bernoulli:
        return replace(self, logits=weight * self.logits)


class SpreadOfMeansForgotten(GaussianMixture):
    def central_moments(self) -> CentralMoments:
        variance = (2 * self.log_scales).exp()
        return replace(super().central_moments(), second=self._average(variance))


class DeterminantOfWrongSign(Flow):
    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        base, log_det = super().inverse(z)
        return base, -log_det


def fails(fact: Callable[[Any], None]) -> Callable[[Any], bool]:
    """Whether a fact is found not to hold."""

    def caught(q: Any) -> bool:
        try:
            fact(q)
        except AssertionError:
            return True
        return False

    return caught


def _case(name: str, right: Any, wrong: type, fact: Callable[[Any], None]) -> Case:
    return Case(name, right, wrong(**vars(right)), fails(fact))


FLOW = Flow(
    {
        name: p + 0.2 * normal(1, *p.shape)
        for name, p in init_params(
            torch.Generator().manual_seed(0),
            dim=3,
            layers=4,
            hidden=8,
            depth=2,
            dtype=torch.float64,
        ).items()
    }
)
BITS, SIGNS, GROUPS = DISCRETE["bits"], DISCRETE["signs"], DISCRETE["groups"]
CASES = [
    _case(
        "moments of {0, 1} for {-1, +1}",
        SIGNS,
        MomentsOfTheOtherCode,
        facts.moments_are_those_of_the_table,
    ),
    _case(
        "divergence without the prior",
        BITS,
        DivergenceWithoutPrior,
        facts.divergence_is_that_of_the_table,
    ),
    _case(
        "divergence of one group for all",
        GROUPS,
        DivergenceOfOneGroup,
        facts.divergence_is_that_of_the_table,
    ),
    _case(
        "normal noise for logistic",
        BITS,
        NormalForLogistic,
        facts.samples_have_the_frequencies_of_the_table,
    ),
    _case(
        "Gumbel noise of the wrong sign",
        GROUPS,
        GumbelOfWrongSign,
        facts.samples_have_the_frequencies_of_the_table,
    ),
    _case(
        "hard and relaxed sample on different noise",
        SIGNS,
        SampleOnOtherNoise,
        facts.sample_is_the_limit_of_relaxed,
    ),
    _case(
        "value scaled with its gradient",
        BITS,
        ValueScaledToo,
        facts.scaled_weighs_the_gradient_alone,
    ),
    _case(
        "variance of a mixture without its means",
        MIXTURE,
        SpreadOfMeansForgotten,
        facts.marginal_moments_are_those_of_quadrature,
    ),
    _case(
        "log-determinant of the wrong sign",
        FLOW,
        DeterminantOfWrongSign,
        facts.log_prob_is_the_change_of_variables,
    ),
]
