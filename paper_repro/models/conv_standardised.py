"""The networks of `conv`, which see standardised data and give standardised means (ours, for E2).

What is a network's scale is not the data's: the encoder sees (x - mean image) / s and the decoder's
output is mean image + s times that of the network, s the spread of the training pixels (see
`vae.standardised`). Adam's steps are then the same whatever the unit of the data.
"""

from __future__ import annotations

from paper_repro.models.conv import RULES as RULES
from paper_repro.models.conv import SIDES as SIDES
from paper_repro.models.conv import SIZES as SIZES
from paper_repro.models.conv import decoder as decoder
from paper_repro.models.conv import encoder as encoder

COMPONENT = "model"
NETWORKS = "standardised"
PROTOCOLS = ("frozen",)
