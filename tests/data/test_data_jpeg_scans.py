"""A JPEG that lost a part of its pixels is refused, however it is coded; a whole one is taken."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paper_repro.data.image_files import decode
from paper_repro.data.listing import ImageFile
from paper_repro.errors import UserError

SIDE = 64
END = b"\xff\xd9"
CODINGS: dict[str, dict[str, object]] = {
    "plain": {},
    "of high quality": {"quality": 100, "subsampling": 0},
    "of low quality": {"quality": 20},
    "own tables": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 2},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
}


def picture(kind: str) -> np.ndarray:
    """uint8 [64, 64, 3]: a smooth scene with some grain, noise, or white."""
    random = np.random.RandomState(7)
    if kind == "white":
        return np.full((SIDE, SIDE, 3), 255, np.uint8)
    if kind == "noise":
        return random.randint(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE][..., None] / SIDE
    scene = (
        120 + 80 * np.sin(5 * x + np.arange(3)) * np.cos(7 * y) + 8 * random.randn(SIDE, SIDE, 3)
    )
    found: np.ndarray = scene.clip(0, 255).astype(np.uint8)
    return found


def coded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(kind)).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def decoded(content: bytes, path: Path) -> np.ndarray:
    path.write_bytes(content)
    file = ImageFile(path.name, path)
    return decode("s", [file], lambda image: image.convert("RGB"), (3, SIDE, SIDE))[0]


def after(content: bytes, share: float) -> int:
    """The byte behind this share of the coded pixels of the last scan."""
    start = content.rindex(b"\xff\xda")
    return start + 16 + int((len(content) - start - 18) * share)


def cut(content: bytes, share: float) -> bytes:
    return content[: after(content, share)] + END


def zeroed(content: bytes, share: float) -> bytes:
    here = after(content, share)
    return content[:here] + bytes(len(content) - here - 2) + END


def erased(content: bytes, share: float) -> bytes:
    """As a flash memory leaves it."""
    here = after(content, share)
    return content[:here] + b"\xff" * (len(content) - here - 2) + END


def holed(content: bytes, share: float) -> bytes:
    here = after(content, share)
    there = min(here + 128, len(content) - 2)
    return content[:here] + bytes(there - here) + content[there:]


def unended(content: bytes, share: float) -> bytes:
    """Its end marker overwritten too; Pillow is content with all rows."""
    return content[:-2] + bytes(100)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kind", ["scene", "noise", "white"])
def test_a_whole_jpeg_is_taken_however_it_is_coded(tmp_path, kind, coding):
    content = coded(kind, **CODINGS[coding])
    found = decoded(content, tmp_path / "x.jpg")
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, expected)
    behind = decoded(content + b"written by a camera", tmp_path / "y.jpg")
    np.testing.assert_array_equal(behind, expected)


@pytest.mark.parametrize("coding", [c for c in CODINGS if c != "progressive"])
@pytest.mark.parametrize("kind", ["scene", "noise"])
@pytest.mark.parametrize("damage", [cut, zeroed, erased, holed, unended])
def test_a_jpeg_that_lost_a_part_of_its_pixels_is_refused(tmp_path, kind, coding, damage):
    content = coded(kind, **CODINGS[coding])
    for share in (0.25, 0.5, 0.75):
        path = tmp_path / f"{share}.jpg"
        with pytest.raises(UserError) as caught:
            decoded(damage(content, share), path)
        assert str(caught.value).startswith(f"dataset s: {path}: cannot be decoded (")
        assert "cut short or overwritten" in str(caught.value)


@pytest.mark.parametrize("kind", ["scene", "noise"])
def test_a_progressive_jpeg_that_is_cut_in_its_last_scan_is_refused(tmp_path, kind):
    content = coded(kind, progressive=True)
    for share in (0.25, 0.5, 0.75):
        with pytest.raises(UserError, match="cut short or overwritten"):
            decoded(cut(content, share), tmp_path / "x.jpg")


def test_white_of_own_tables_is_coded_by_zeros_and_taken(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (512, 512), "white").save(buffer, "JPEG", optimize=True)
    content = buffer.getvalue()
    assert bytes(64) in content[content.rindex(b"\xff\xda") :]
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    (found,) = decode("s", [ImageFile("x.jpg", path)], lambda image: image, (3, 512, 512))
    assert found.min() == 255
