"""log p(x, z) of a linear decoder, by samples and in closed form ("Silent Gradients", 2025).

After Shao, Liu and Van den Broeck, arXiv 2508.03587: the encoder's parameters go straight into the
linear decoder's expected log-likelihood, which has no sampling noise. Calling a `LinearJoint` with
samples gives the density whose expectation it is, so that a sampling estimator and `silent` can be
compared on one model. How the paper writes a learnable variance is unknown to us; the variants are
ours (`likelihoods.expected`):

    fixed  N(W z + b, variance)                     L0   N(W z + b, exp(-c)) per pixel
    EXP    N(W z + b, exp(-(V z + c)))              SQ   N(W z + b, (V z + c)^-2)
    EXP2   samples are EXP's, the closed form is a surrogate of it from four moments

For a discrete z the closed form of SQ takes E log s^2 to second order, which is not exact either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from paper_repro.distributions import projections
from paper_repro.distributions.posterior import Posterior
from paper_repro.likelihoods import expected
from paper_repro.likelihoods.normal import log_density

VARIANTS = ("fixed", "L0", "EXP", "EXP2", "SQ")
NEEDS = {
    "fixed": ("weight", "bias"),
    "L0": ("weight", "bias", "scale_bias"),
    "EXP": ("weight", "bias", "scale_weight", "scale_bias"),
}


class LinearJoint:
    """An `ExpectedLogJoint` of x [B, P] under the linear decoder with `params`.

    params: weight [P, D], bias [P] and, but for ``fixed``, scale_bias [P] and scale_weight [P, D],
    as `models.linear` names them (L0 has no use for scale_weight). log_prior: z [K, B, D] to
    [K, B], for example a posterior's own `log_prior`. variance: for ``fixed``, a positive number
    or a 0-d tensor (a learned scalar). ValueError naming what is missing or does not fit.
    """

    def __init__(
        self,
        x: Tensor,
        params: Mapping[str, Tensor],
        variant: str,
        log_prior: Callable[[Tensor], Tensor],
        *,
        variance: float | Tensor | None = None,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"variant: {variant!r} is not one of {', '.join(VARIANTS)}")
        if (variance is None) == (variant == "fixed"):
            raise ValueError("variance: goes with variant 'fixed', and with no other")
        if variance is not None and not isinstance(variance, Tensor) and not variance > 0:
            raise ValueError(f"variance: must be positive, got {variance}")
        needs = NEEDS.get(variant, NEEDS["EXP"])
        if missing := [name for name in needs if name not in params]:
            raise ValueError(f"params: variant {variant!r} needs {', '.join(missing)}")
        matrix = tuple(params["weight"].shape)
        for name in needs:
            shape = matrix if name.endswith("weight") else matrix[:1]
            if tuple(params[name].shape) != shape:
                found = list(params[name].shape)
                raise ValueError(f"params[{name!r}]: shape {found}, expected {list(shape)}")
        if x.shape[-1] != matrix[0]:
            raise ValueError(f"x: {x.shape[-1]} pixels, but the decoder has {matrix[0]}")
        self.x, self.variant, self.log_prior, self.variance = x, variant, log_prior, variance
        self.params = {name: params[name] for name in needs}

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(log p(x | z), log p(z)) in nats at samples z [K, *batch, D]: [K, *batch] each."""
        p, latent = self.params, self.params["weight"].shape[-1]
        if z.shape[-1] != latent or z.shape[1:-1] != self.x.shape[:-1]:
            expected_shape = ["K", *self.x.shape[:-1], latent]
            raise ValueError(f"z: shape {list(z.shape)}, expected {expected_shape}")
        error = self.x - z @ p["weight"].mT - p["bias"]
        return self._log_density(error, z), self.log_prior(z)

    def expected_log_likelihood(self, posterior: Posterior) -> Tensor:
        """E_q log p(x | z) in nats, [*batch]; for EXP2, and SQ of a discrete z, its surrogate."""
        p, w = self.params, self.params["weight"]
        residual = self.x - p["bias"]
        if self.variance is not None or self.variant == "L0":
            mean, var_a = projections.mean_variance(posterior, w)
            self._require_batch(mean)
            if self.variance is not None:
                return expected.fixed(residual - mean, var_a, self.variance)
            return expected.constant_precision(residual - mean, var_a, p["scale_bias"])
        v, c = p["scale_weight"], p["scale_bias"]
        if self.variant == "EXP":
            tilt = projections.tilt(posterior, w, v)
            self._require_batch(tilt.mean)
            scale = projections.mean(posterior, v) + c
            return expected.exp(residual - tilt.mean, tilt.variance, c + tilt.log_normaliser, scale)
        k = projections.cumulants(posterior, w, v)
        self._require_batch(k.mean_a)
        error, scale = residual - k.mean_a, k.mean_s + c
        mixed = (k.var_a, k.var_s, k.cov, k.k12, k.k21, k.k22)
        if self.variant == "EXP2":
            return expected.exp2(error, scale, *mixed)
        if posterior.kind == "gaussian":
            log_square = expected.log_square_gaussian(scale, k.var_s)
        else:
            log_square = expected.log_square_delta(scale, k.var_s, k.k03, k.k04)
        return expected.square(error, scale, log_square, *mixed)

    def _log_density(self, error: Tensor, z: Tensor) -> Tensor:
        p = self.params
        if self.variance is not None:
            return expected.fixed(error, error.new_zeros(()), self.variance)
        if self.variant == "L0":
            return log_density(error, p["scale_bias"])
        scale = z @ p["scale_weight"].mT + p["scale_bias"]
        return log_density(error, 2 * scale.abs().log() if self.variant == "SQ" else scale)

    def _require_batch(self, projected: Tensor) -> None:
        if projected.shape != self.x.shape:
            raise ValueError(
                f"posterior: batch {list(projected.shape[:-1])}, but x's is "
                f"{list(self.x.shape[:-1])}"
            )
