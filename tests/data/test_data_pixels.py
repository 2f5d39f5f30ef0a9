"""Which pixels have one meaning as uint8: those are decoded to it, all others refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paper_repro.data.image_files import decode
from paper_repro.data.listing import ImageFile
from paper_repro.data.png_rows import are_whole
from paper_repro.errors import UserError

SIDE = 8


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str, colour: float | tuple[int, ...] = 0) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), colour)


def png(
    *header: int, pixels: bytes, colours: bytes = b"", interlaced: bool = False, after: bytes = b""
) -> bytes:
    """A PNG written by hand: of kinds and sizes that Pillow does not write. `header` is width,
    height, depth, colour; `after` follows the compressed pixels."""

    word = struct.Struct(">I").pack

    def chunk(kind: bytes, data: bytes) -> bytes:
        return word(len(data)) + kind + data + word(zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", *header, 0, 0, interlaced)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(pixels) + after), (b"IEND", b"")]
    if colours:
        parts.insert(1, (b"PLTE", colours))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def of_palette(index: int, colours: int) -> bytes:
    """A PNG of one index, by hand, with a palette of white; without one for 0 colours."""
    pixels = bytes([0, *[index] * SIDE]) * SIDE
    return png(SIDE, SIDE, 8, 3, pixels=pixels, colours=b"\xff\xff\xff" * colours)


def palette(**options: object) -> bytes:
    """Colour 0, red, everywhere; colour 1, green, nowhere."""
    image = plain("P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    return saved(image, **options)


def turned() -> bytes:
    """A JPEG, left half white, with the tag that says it lies on its side."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[:, : SIDE // 2] = 255
    tags = Image.Exif()
    tags[0x112] = 6
    return saved(Image.fromarray(pixels), "JPEG", quality=100, exif=tags)


def decoded(content: bytes, path: Path) -> np.ndarray:
    """The pixels of a file as any colour set reads them, [3, 8, 8]."""
    path.write_bytes(content)
    file = ImageFile(path.name, path)
    return decode("s", [file], lambda image: image.convert("RGB"), (3, SIDE, SIDE))[0]


HALF = np.repeat([[255, 0]], SIDE // 2, 1).repeat(SIDE, 0)
TAKEN: dict[str, tuple[bytes, object]] = {  # the file, and its pixels as [3] or [8, 8]
    "1 bit": (saved(plain("1", 1)), [255, 255, 255]),
    "2 bits": (png(SIDE, SIDE, 2, 0, pixels=b"\0\xaa\xaa" * SIDE), [170, 170, 170]),
    "4 bits": (png(SIDE, SIDE, 4, 0, pixels=b"\0\x77\x77\x77\x77" * SIDE), [119, 119, 119]),
    "grey": (saved(plain("L", 7)), [7, 7, 7]),
    "colour": (saved(plain("RGB", (1, 2, 3))), [1, 2, 3]),
    "palette": (palette(), [255, 0, 0]),
    "palette, its last colour": (of_palette(2, 3), [255, 255, 255]),
    "palette, another colour transparent": (palette(transparency=1), [255, 0, 0]),
    "palette, another half transparent": (palette(transparency=b"\xff\x80"), [255, 0, 0]),
    "grey, opaque": (saved(plain("LA", (7, 255))), [7, 7, 7]),
    "colour, opaque": (saved(plain("RGBA", (1, 2, 3, 255))), [1, 2, 3]),
    "colour, another transparent": (
        saved(plain("RGB", (1, 2, 3)), transparency=(9, 9, 9)),
        [1, 2, 3],
    ),
    "CMYK": (saved(plain("CMYK", (255, 0, 0, 0)), "JPEG", quality=100), [0, 255, 255]),
    "orientation tag": (turned(), HALF),
    "PNG called JPEG": (saved(plain("L", 7)), [7, 7, 7]),
    "broken EXIF": (saved(plain("L", 7), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff"), [7, 7, 7]),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_pixels_of_one_meaning_are_read_as_stored(kind, tmp_path):
    content, expected = TAKEN[kind]
    wanted = np.array(expected)
    wanted = wanted[:, None, None] if wanted.ndim == 1 else wanted[None]
    found = decoded(content, tmp_path / "x.jpg").astype(int)
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=1)


ROW = b"\0" + b"\x07" * SIDE  # of grey
TURNS = np.array([  # the pass of each pixel of a square of an interlaced PNG, as in its standard
    [1, 6, 4, 6, 2, 6, 4, 6],
    [7, 7, 7, 7, 7, 7, 7, 7],
    [5, 6, 5, 6, 5, 6, 5, 6],
    [7, 7, 7, 7, 7, 7, 7, 7],
    [3, 6, 4, 6, 3, 6, 4, 6],
    [7, 7, 7, 7, 7, 7, 7, 7],
    [5, 6, 5, 6, 5, 6, 5, 6],
    [7, 7, 7, 7, 7, 7, 7, 7],
])  # fmt: skip


def woven(width: int, height: int) -> bytes:
    """The rows of an interlaced grey image of 7, those without pixels left out."""
    turns = np.tile(TURNS, (2, 2))[:height, :width]
    counts = [(row == turn).sum() for turn in range(1, 8) for row in turns]
    return b"".join(b"\0" + b"\x07" * n for n in counts if n)


@pytest.mark.parametrize("width", range(1, 13))
def test_an_interlaced_image_of_any_size_is_read_whole(width):
    for height in range(1, 13):
        pixels = woven(width, height)
        content = png(width, height, 8, 0, pixels=pixels, interlaced=True)
        assert (np.array(Image.open(io.BytesIO(content))) == 7).all()
        assert are_whole(content)
        assert not are_whole(png(width, height, 8, 0, pixels=pixels[:-1], interlaced=True))


def frames(kind: str) -> bytes:
    return saved(plain("RGB"), kind, save_all=True, append_images=[plain("RGB", (9, 9, 9))])


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "16 bits, grey": (
        lambda: saved(Image.fromarray(np.full((SIDE, SIDE), 300, np.uint16))),
        "16 bits a channel",
    ),
    "16 bits, colour": (
        lambda: png(SIDE, SIDE, 16, 2, pixels=(b"\0" + b"\1\x2c" * 3 * SIDE) * SIDE),
        "16 bits a channel",
    ),
    "grey with holes": (lambda: saved(plain("LA", (7, 254))), "transparent pixels"),
    "colour with holes": (lambda: saved(plain("RGBA", (1, 2, 3, 0))), "transparent pixels"),
    "palette with holes": (lambda: palette(transparency=0), "transparent pixels"),
    "palette with half holes": (lambda: palette(transparency=b"\x80"), "transparent pixels"),
    "a transparent grey": (lambda: saved(plain("L", 7), transparency=7), "transparent pixels"),
    "a colour past the palette": (lambda: of_palette(3, 3), "colour 3 of a palette of 3"),
    "far past it": (lambda: of_palette(255, 2), "colour 255 of a palette of 2"),
    "no palette": (lambda: of_palette(0, 0), "colour 0 of a palette of 0"),
    "a moving PNG": (lambda: frames("PNG"), "several pictures in one file"),
    "a stereo JPEG": (lambda: frames("MPO"), "several pictures in one file"),
    "a GIF": (lambda: frames("GIF"), "neither PNG nor JPEG"),
    "a TIFF of floats": (lambda: saved(plain("F", 0.5), "TIFF"), "neither PNG nor JPEG"),
    "an integer TIFF": (lambda: saved(plain("I", 70000), "TIFF"), "neither PNG nor JPEG"),
    "a bomb": (lambda: png(20000, 20000, 8, 2, pixels=b""), "400000000 pixels"),
    "half a bomb": (lambda: png(10000, 10000, 8, 2, pixels=b""), "100000000 pixels"),
    "a PNG cut within its pixels": (lambda: saved(plain("L"))[:-22], "cannot be decoded"),
    "a PNG without its last byte": (lambda: saved(plain("L"))[:-1], "cut short"),
    "a PNG of fewer rows": (lambda: png(SIDE, SIDE, 8, 0, pixels=ROW * 4), "fewer or more rows"),
    "a PNG of a row more": (lambda: png(SIDE, SIDE, 8, 0, pixels=ROW * 9), "fewer or more rows"),
    "a PNG of part of a row more": (
        lambda: png(SIDE, SIDE, 8, 0, pixels=ROW * SIDE + b"\0"),
        "fewer or more rows",
    ),
    "a PNG with bytes after its pixels": (
        lambda: png(SIDE, SIDE, 8, 0, pixels=ROW * SIDE, after=b"x"),
        "fewer or more rows",
    ),
    "an interlaced PNG that ends early": (
        lambda: png(SIDE, SIDE, 8, 0, pixels=woven(SIDE, SIDE)[:-9], interlaced=True),
        "fewer or more rows",
    ),
    "an interlaced PNG of a row more": (
        lambda: png(SIDE, SIDE, 8, 0, pixels=woven(SIDE, SIDE) + ROW, interlaced=True),
        "fewer or more rows",
    ),
    "a JPEG without its last byte": (lambda: saved(plain("L"), "JPEG")[:-1], "truncated"),
    "nothing": (lambda: b"", "0 bytes"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_pixels_that_could_mean_several_things_are_refused_by_name(kind, tmp_path):
    make, words = REFUSED[kind]
    path = tmp_path / "x.png"
    with pytest.raises(UserError) as caught:
        decoded(make(), path)
    message = str(caught.value)
    assert f"dataset s: {path}: cannot be decoded (" in message
    assert words in message
    assert message.isprintable()
