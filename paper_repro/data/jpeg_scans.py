"""Whether a JPEG holds all of its picture, which its decoder does not say.

A JPEG (ITU-T T.81) has no checksum. Where the coded pixels end early (a file cut and closed by an
end marker, or with zeros for its second half) libjpeg fills the rest with grey, and Pillow passes
its warning on to nobody. But bits that a decoder is not to reach may be anything, so `is_whole`
decodes once more with other bits at the ends of the scans:

- bits put in before the marker that ends a scan, or a part of one, must change no pixel, else the
  decoder ran out of its own;
- where a scan holds a run of zeros, as only pixels of one colour give, its last bytes are
  overwritten, which must change some pixel, else the zeros stand for less than they replaced.
  Where zeros code no such pixels, no run of them is taken at all.

Not seen: a progressive file cut exactly between two of its scans, which is a JPEG by the standard,
and changed bits that still code as many blocks. Files coded arithmetically, whose encoder may leave
out bits at the end, are not judged. What follows the end marker is no matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

MARKER = re.compile(rb"\xff+([\x01-\xfe])")  # between segments, or in coded pixels
SEQUENTIAL, ARITHMETIC = {0xC0, 0xC1}, {0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
TABLES, START, END, SCAN = 0xC4, 0xD8, 0xD9, 0xDA
RESTARTS = range(0xD0, 0xD8)
ALONE = {0x01, START, *RESTARTS}  # markers without a length
# No code over and over, and no marker: whatever the Huffman tables, pixels are read from it.
NOISE = bytes(byte * 89 % 251 for byte in range(1, 49))
ZEROS = bytes(32)  # more than a block of coefficients that are all the same


@dataclass
class Scans:
    """Start and end of every stretch of coded pixels, how many scans these are of, the kinds of
    frame, and what a code of zeros stands for in each table of AC coefficients (0: no more)."""

    ends: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0
    frames: set[int] = field(default_factory=set)
    zeros: set[int] = field(default_factory=set)


def is_whole(content: bytes, same: Callable[[bytes], bool]) -> bool:
    """Whether all pixels of the JPEG `content`, which decodes, are from its own bits. `same` says
    whether what it is given decodes to the same pixels."""
    scans = _scans(content)
    if scans is None:
        return False
    if scans.frames & ARITHMETIC:
        return True
    if any(content.find(ZEROS, start, end) >= 0 for start, end in scans.ends):
        if scans.frames <= SEQUENTIAL and scans.count == 1 and any(scans.zeros):
            return False
        if same(_with_noise(content, scans, over=len(NOISE))):
            return False
    return same(_with_noise(content, scans, over=0))


def _scans(content: bytes) -> Scans | None:
    """Where the coded pixels are; None where the end marker is missing."""
    found, at = Scans(), 0
    while marker := MARKER.search(content, at):
        code, at = marker[1][0], marker.end()
        if code == END:
            return found
        if code in ALONE:
            continue
        body, at = at + 2, at + int.from_bytes(content[at : at + 2])
        if code == TABLES:
            found.zeros |= _zeros(content[body:at])
        elif code in SEQUENTIAL | ARITHMETIC or 0xC2 <= code <= 0xC7:
            found.frames.add(code)
        elif code == SCAN:
            found.count += 1
            while following := MARKER.search(content, at):
                found.ends.append((at, following.start()))
                if following[1][0] not in RESTARTS:
                    at = following.start()
                    break
                at = following.end()
    return None


def _zeros(tables: bytes) -> set[int]:
    """The first symbol, whose code is all zeros, of each AC table: a byte that says which table it
    is, how many codes there are of 1 to 16 bits, and their symbols."""
    found = set()
    while len(tables) > 17:
        if tables[0] >> 4 == 1:
            found.add(tables[17])
        tables = tables[17 + sum(tables[1:17]) :]
    return found


def _with_noise(content: bytes, scans: Scans, over: int) -> bytes:
    """`content` with noise before the end of each stretch, which replaces `over` bytes."""
    parts, done = [], 0
    for start, end in scans.ends:
        parts += [content[done : max(start, end - over)], NOISE]
        done = end
    return b"".join([*parts, content[done:]])
