"""Image files decoded to uint8, where their pixels have one meaning as such; others are refused.

- Taken: PNG and JPEG by content, whatever the file is called; 1, 2, 4 or 8 bits a channel; grey,
  colour and palettes; an alpha channel or a transparent colour where every pixel is opaque; CMYK
  (JPEG; ImageNet has some), which Pillow turns into RGB.
- Refused: 16 bits a channel, which Pillow would clip or cut; transparent pixels, whose colour is
  left open; an index that the palette has no colour for; several pictures in one file; more pixels
  than Pillow's guard against decompression bombs allows; anything damaged, as far as it shows: a
  PNG has checksums and a known length (`png_rows`), and of a JPEG `jpeg_scans` says what is seen.
- Pixels are those stored: an EXIF orientation is not applied, nor a colour profile, as in the
  published sets, which were made without them.

Decoding is exact for PNG; for JPEG it is that of the installed Pillow, which the fingerprint of a
data set records.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError

from paper_repro.data.faults import fault
from paper_repro.data.jpeg_scans import is_whole
from paper_repro.data.listing import ImageFile
from paper_repro.data.png_rows import are_whole

PNG = b"\x89PNG\r\n\x1a\n"
DEPTH = 24  # the byte of a PNG that holds the bits of a channel
END = b"IEND\xaeB`\x82"  # what a PNG ends with
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")  # Pillow's names of 8-bit pixels


def decode(
    name: str,
    files: Sequence[ImageFile],
    prepare: Callable[[Image.Image], Image.Image],
    shape: tuple[int, int, int],
) -> np.ndarray:
    """uint8 [len(files), C, H, W]: every file opened and put through `prepare`, which gets an image
    of mode 1, L or RGB. UserError naming the file that cannot be decoded."""
    images = np.empty((len(files), *shape), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of untidy metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for row, file in enumerate(files):
            try:
                pixels = np.asarray(prepare(_opened(file.read())))
            except FileNotFoundError as error:
                raise fault(name, file.path, "missing") from error
            # Pillow and zipfile raise nearly anything on files that are broken in rare ways.
            except Exception as error:
                reason = str(error) or type(error).__name__
                raise fault(name, file.path, f"cannot be decoded ({reason})") from error
            images[row] = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return images


def expect(image: Image.Image, size: tuple[int, int]) -> None:
    """ValueError, for `decode` to report, unless the image is `size` (width, height)."""
    if image.size != size:
        raise ValueError(f"{image.size[0]}x{image.size[1]} pixels, expected {size[0]}x{size[1]}")


def _opened(content: bytes) -> Image.Image:
    """The image that a file's content encodes, loaded, in mode 1, L or RGB."""
    if not content:
        raise ValueError("0 bytes")
    if content.startswith(PNG):
        if content[DEPTH : DEPTH + 1] == b"\x10":
            raise ValueError("16 bits a channel, expected at most 8")
        if END not in content:  # Pillow reads on without the last bytes
            raise ValueError("cut short")
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
    except UnidentifiedImageError:
        raise ValueError("neither PNG nor JPEG") from None
    if getattr(image, "n_frames", 1) > 1:
        raise ValueError("several pictures in one file, expected one")
    if image.mode not in MODES:
        raise ValueError(f"pixels of mode {image.mode}, expected 8 bits a channel")
    image.load()
    if image.format == "JPEG" and not is_whole(content, partial(_same, image)):
        raise ValueError("cut short or overwritten, part of its pixels is missing")
    if image.format == "PNG" and not are_whole(content):
        raise ValueError("fewer or more rows of pixels than its header says")
    if image.mode == "P":
        _check_palette(image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            raise ValueError("transparent pixels, whose colour is left open")
    return image if image.mode in {"1", "L"} else image.convert("RGB")


def _same(image: Image.Image, content: bytes) -> bool:
    """Whether a JPEG decodes to the pixels of `image`."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as other:
            return ImageChops.difference(image, other).getbbox() is None
    except Exception:  # the content was made to be wrong: whatever Pillow raises says so
        return False


def _check_palette(image: Image.Image) -> None:
    """ValueError for a pixel whose index has no colour, which Pillow makes black."""
    colours = len(image.palette.palette) // 3 if image.palette else 0
    highest = int(image.getextrema()[1])  # type: ignore[arg-type]  # of one channel
    if highest >= colours:
        raise ValueError(f"colour {highest} of a palette of {colours}")
