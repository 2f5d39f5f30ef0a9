"""The one exception meant for the user's eyes, and how it names what would have been right."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

CHANGES_NO_NUMBER = True

SHOWN = 12  # names that a message lists; of more, those nearest to what was given


class UserError(Exception):
    """Something the user can mend: one line naming the key or path at fault and the remedy.

    The command line prints the message without a traceback and exits with status 2. Whatever a
    message quotes (a name with a line break in it, say), it is one printable line.
    """

    def __init__(self, message: str) -> None:
        line = "; ".join(part.strip() for part in message.splitlines() if part.strip())
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


def unknown(what: str, given: object, known: Iterable[object]) -> str:
    """The line that refuses a word: "study: 'nope' is not one of a, b, c; did you mean 'b'?".

    `known` are the words allowed, in the order to list them; the nearest one, if any is near, is
    offered. A long list is cut to its `SHOWN` nearest words.
    """
    return f"{what}: {quoted(given)} is not one of {_listed(given, known)}"


def unknown_key(where: str, given: str, known: Iterable[str]) -> str:
    """The line that refuses a key of a mapping, like `unknown`."""
    return f"{where}: unknown key {quoted(given)}; allowed: {_listed(given, known)}"


def nearest(given: object, known: Iterable[str]) -> str:
    """The known word most like what was given, whatever its case; "" where none is near."""
    folded = {word.casefold(): word for word in known if word}
    found = difflib.get_close_matches(str(given).casefold(), folded, 1, cutoff=0.6)
    return folded[found[0]] if found else ""


def _listed(given: object, known: Iterable[object]) -> str:
    words = list(dict.fromkeys(map(str, known)))
    near = nearest(given, words)
    listed = words
    if len(words) > SHOWN:
        kept = difflib.get_close_matches(str(given), words, SHOWN - 1, cutoff=0)
        listed = [*(word for word in words if word in kept), f"... ({len(words)} in all)"]
    shown = ", ".join(word or "''" for word in listed) or "none"
    return shown + (f"; did you mean {near!r}?" if near else "")


_shorter = reprlib.Repr()
_shorter.maxstring = _shorter.maxother = 80
quoted = _shorter.repr
