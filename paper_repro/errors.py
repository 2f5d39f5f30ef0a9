"""The one exception meant for the user's eyes, and how it names what would have been right."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

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
    words = list(dict.fromkeys(map(str, known)))
    if not words:
        return f"{what}: {reprlib.repr(given)}, but there is none to choose from"
    near = nearest(given, words)
    listed = words
    if len(words) > SHOWN:
        listed = [*difflib.get_close_matches(str(given), words, SHOWN - 1, cutoff=0)]
        listed = [word for word in words if word in listed] + [f"... ({len(words)} in all)"]
    shown = ", ".join(word or "''" for word in listed)
    hint = f"; did you mean {near!r}?" if near else ""
    return f"{what}: {reprlib.repr(given)} is not one of {shown}{hint}"


def nearest(given: object, known: Iterable[str]) -> str:
    """The known word most like what was given, whatever its case; "" where none is near."""
    folded = {word.casefold(): word for word in known if word}
    found = difflib.get_close_matches(str(given).casefold(), folded, 1, cutoff=0.6)
    return folded[found[0]] if found else ""
