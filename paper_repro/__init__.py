"""Five papers on training variational autoencoders, reproduced with a verdict per claim."""

import os
import sys

# Nothing is shown on a screen. The shell of a notebook names a backend that may not be installed,
# which matplotlib refuses as it is imported; inside a notebook it stays as it is.
if "ipykernel" not in sys.modules:
    os.environ["MPLBACKEND"] = "Agg"

__version__ = "0.1.0"
