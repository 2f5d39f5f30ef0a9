"""Whether a PNG holds the rows that its header announces (PNG specification, sections 8 and 9).

Pillow fills with black what a compressed stream that ends early leaves open, though every checksum
is right, and passes over what a stream holds beyond the last row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# Adam7: first column and row of each pass, and its steps between columns and rows.
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def are_whole(content: bytes) -> bool:
    """Whether the compressed stream of a PNG, whose chunks are sound, ends with its last row."""
    chunks = list(_chunks(content))
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    expected = _size(width, height, depth * CHANNELS[colour], PASSES if interlaced else ())
    stream = zlib.decompressobj()
    packed = b"".join(data for kind, data in chunks if kind == b"IDAT")
    pixels = stream.decompress(packed, expected + 1)
    return len(pixels) == expected and stream.eof and not stream.unused_data


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of every chunk up to the last."""
    place, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, content[place + 8 : place + 8 + length]
        place += 12 + length


def _size(width: int, height: int, bits: int, passes: tuple[tuple[int, ...], ...]) -> int:
    """Bytes of all rows, each led by one that names its filter; a pass without columns has none."""
    size = 0
    for left, top, right, down in passes or ((0, 0, 1, 1),):
        columns, rows = -((left - width) // right), -((top - height) // down)
        size += max(rows, 0) * (1 + (columns * bits + 7) // 8) if columns > 0 else 0
    return size
