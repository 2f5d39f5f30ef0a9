"""Arguments of the command line, each checked where it is read: ranges, words and paths.

What a command will write to is looked at before it does any work: an hour of training is lost on a
`--log` that turns out to be a folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from paper_repro.errors import UserError, quoted, unknown


class _Once(argparse.Action):
    """Store a value, as argparse does; an option that is given again is refused, not obeyed."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = vars(namespace).setdefault("given", set())
        if self.dest in given:
            raise argparse.ArgumentError(self, "is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one line, without its usage, and offers the nearest command."""

    commands: Iterable[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("action", None, _Once)  # of arguments that name no other action

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"paper_repro: {UserError(message.removeprefix('argument '))}\n")

    def parse_args(  # type: ignore[override]
        self, args: list[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """The arguments; a first word that is no command is refused by name."""
        if args and not args[0].startswith("-") and self.commands and args[0] not in self.commands:
            self.error(unknown("command", args[0], self.commands))
        return super().parse_args(args, namespace)


def whole(least: int, most: int = 10**6) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{quoted(text)} is not a whole number from {least} to {most}"
            )
        return int(text)

    return read


def word(known: Iterable[str]) -> Callable[[str], str]:
    """One of some words."""
    words = list(known)

    def read(text: str) -> str:
        if text not in words:
            refusal = unknown("", text, words)
            raise argparse.ArgumentTypeError(refusal.removeprefix(": "))
        return text

    return read


def _path(text: str) -> Path:
    """The path that a text is; an empty one, of a variable that is not set, would be here."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(text).expanduser()


def folder(text: str) -> Path:
    """A folder that is there."""
    path = _path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


def file(text: str) -> Path:
    """A file that is there and not empty."""
    path = _path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file")
    if not path.stat().st_size:
        raise argparse.ArgumentTypeError(f"{text!r} is empty")
    return path


def folder_to_write(text: str) -> Path:
    """A folder that is there and may be written to, or can be made."""
    path = _path(text)
    above = path
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        raise argparse.ArgumentTypeError(f"{str(above)!r} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{str(above)!r} cannot be written to")
    return path


def file_to_write(text: str) -> Path:
    """A file that may be written or made."""
    path = _path(text)
    if path.is_dir() or not path.name:
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written to")
    folder_to_write(str(path.parent))
    return path


def zip_to_write(text: str) -> Path:
    """A .zip that may be written or made: not one of the tables that are to go into it."""
    if Path(text).suffix != ".zip":
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .zip")
    return file_to_write(text)


def log_to_write(text: str) -> Path:
    """A file for lines of text that may be written or made: no table and no record of a run."""
    if Path(text).suffix in (".csv", ".gz", ".json"):
        raise argparse.ArgumentTypeError(f"{text!r} is the name of a table, not of a log")
    return file_to_write(text)
