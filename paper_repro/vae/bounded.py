"""Whether a bounded likelihood keeps its bounds: BAGGINS (our reading of Fyffe, 1912.10309).

Of the model on its first training images: the root mean square of dL/df over the values that share
a variance, relative to the most that it can be (H3), and how far the distortion per value is above
its floor (H6). Of other likelihoods there is nothing to keep.
"""

from __future__ import annotations

from typing import cast

import torch

from paper_repro.likelihoods.normal import by_channel
from paper_repro.rows import Row
from paper_repro.vae.whole_set import Reader, Solves, solver_options


def rows(reader: Reader, images: int) -> list[Row]:
    """``slope_to_bound`` (at most 1, of the steepest channel) and ``above_floor`` (not below 0, in
    nats/value), of one batch of so many images."""
    likelihood, options = reader.model.likelihood, reader.model.likelihood_options
    if not hasattr(likelihood, "floor") or options.get("variant", "A") == "C":
        return []
    of_data = cast(Solves, likelihood)
    channels, solver = options["channels"], solver_options(options)
    x, posterior, name = next(reader.blocks("train", images))
    output = reader.decode(reader.draws(posterior, 1, name, "bounded"))[0].double()
    x = x.double()
    with torch.enable_grad():
        output.requires_grad_()
        distortion = -likelihood.log_likelihood(x, output, {}, **options).mean()
        (slope,) = torch.autograd.grad(distortion, output)
    s2 = of_data.data_variance(x, channels)
    each = by_channel((len(x) * slope).square(), channels).mean(-1).mean(0).sqrt()
    share = (each / of_data.steepest(s2, **solver)).amax()
    least = of_data.floor(s2, **solver).mean()
    above = distortion.detach() / x.shape[-1] - least
    return [
        Row("slope_to_bound", float(share), "1"),
        Row("above_floor", float(above), "nats/value"),
    ]
