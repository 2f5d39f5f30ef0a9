"""The import of torch, whose failures the user can mend, before any other module asks for it."""

from __future__ import annotations

import importlib
import os

from paper_repro.errors import UserError

OURS = ("TORCH", "PYTORCH")  # what variables that torch reads begin with


def import_torch() -> None:
    """Import torch. UserError, with the variables that it may be about, where that fails: torch
    judges the environment as it is imported (TORCH_LOGS), and an installation may be broken."""
    try:
        importlib.import_module("torch")
    except Exception as error:  # torch has no error of its own for this
        first = next((line for line in str(error).splitlines() if line), type(error).__name__)
        named = ", ".join(sorted(name for name in os.environ if name.startswith(OURS)))
        remedy = f"correct or unset {named}" if named else "install from requirements.lock"
        raise UserError(f"torch: cannot be imported ({first.strip()}); {remedy}") from error
