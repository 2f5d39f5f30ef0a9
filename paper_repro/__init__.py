"""Papers on training variational autoencoders, reproduced with a verdict per claim."""

import os
import sys

# Nothing is shown on a screen. The shell of a notebook names a backend that may not be installed,
# which matplotlib refuses as it is imported; inside a notebook it stays as it is.
if "ipykernel" not in sys.modules:
    os.environ["MPLBACKEND"] = "Agg"

# Nothing made here is dated, and both SciPy, as it is imported, and matplotlib fail on a date that
# is no number.
os.environ.pop("SOURCE_DATE_EPOCH", None)

__version__ = "0.1.0"

__all__ = ["build", "load", "train"]


def __getattr__(name: str) -> object:
    """The functions of `paper_repro.api`, which is imported when one is asked for."""
    if name in __all__:
        from paper_repro import api

        return getattr(api, name)
    raise AttributeError(f"module 'paper_repro' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What there is, the functions for a notebook among it."""
    return sorted({*globals(), *__all__})
