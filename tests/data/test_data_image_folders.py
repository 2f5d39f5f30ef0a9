"""Omniglot and two ImageNet folders, on small folders in torchvision's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from paper_repro.data.catalogue import load
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError
from tests.data.small_sets import reverse_directories


def expect(monkeypatch: pytest.MonkeyPatch, name: str, counts: list[int]) -> None:
    monkeypatch.setitem(DATASETS, name, DATASETS[name] | {"counts": counts})


def refusal(name: str, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(name, root, download=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def characters(tmp_path, monkeypatch) -> dict[str, list[Path]]:
    """An Omniglot of 7 + 3 drawings. Drawing number n: paper, but for n + 1 columns of ink."""
    expect(monkeypatch, "omniglot", [5, 2, 3])
    files: dict[str, list[Path]] = {}
    for part, numbers in (("images_background", range(7)), ("images_evaluation", range(7, 10))):
        for number in numbers:
            folder = tmp_path / "omniglot-py" / part / f"Alphabet{number % 2}" / "character01"
            folder.mkdir(parents=True, exist_ok=True)
            drawing = np.ones((105, 105), dtype=bool)
            drawing[:, : number + 1] = False
            path = folder / f"{number:04d}_01.png"
            Image.fromarray(drawing).save(path)
            files.setdefault(part, []).append(path)
    return files


def ink(images: torch.Tensor) -> list[float]:
    """Share of ink of each image, sorted."""
    return sorted((images.double().mean((1, 2, 3)) / 255).tolist())


def boxed(columns: int) -> float:
    """Ink share at 28x28 of a 105-pixel drawing whose first `columns` columns are inked: an output
    pixel is the mean of the input pixels whose centres fall into it (three or four a side; a
    centre on the border belongs to the box before it)."""
    owner = np.ceil((np.arange(105) + 0.5) / (105 / 28)).astype(int) - 1
    return float((np.bincount(owner[:columns], minlength=28) / np.bincount(owner)).mean())


def test_ink_is_white_and_averaged_over_boxes(characters, tmp_path):
    data = load("omniglot", tmp_path, download=False)
    np.testing.assert_allclose(ink(data.test), [boxed(8), boxed(9), boxed(10)], atol=0.5 / 255 / 28)
    assert data.test[:, 0, :, 0].eq(255).all()  # the left edge is inked in every drawing


def test_every_omniglot_drawing_is_in_one_split_and_evaluation_is_the_test(characters, tmp_path):
    data = load("omniglot", tmp_path, download=False)
    assert data.counts == {"train": 5, "validation": 2, "test": 3}
    background = ink(torch.cat([data.train, data.validation]))
    expected = [boxed(columns) for columns in range(1, 8)]
    np.testing.assert_allclose(background, expected, atol=0.5 / 255 / 28)


def test_omniglot_does_not_depend_on_the_order_of_the_directory(characters, tmp_path, monkeypatch):
    before = load("omniglot", tmp_path, download=False).fingerprint
    reverse_directories(monkeypatch)
    assert load("omniglot", tmp_path, download=False).fingerprint == before


def test_one_drawing_too_few_or_too_many_is_refused(characters, tmp_path):
    spare = characters["images_evaluation"][0]
    copy = spare.with_name("0099_01.png")
    copy.write_bytes(spare.read_bytes())
    assert "images_evaluation: 4 images, expected 3" in refusal("omniglot", tmp_path)
    copy.unlink()
    spare.unlink()
    assert "images_evaluation: 2 images, expected 3" in refusal("omniglot", tmp_path)


def test_files_hidden_by_the_operating_system_are_not_counted(characters, tmp_path):
    characters["images_background"][0].with_name("._0000_01.png").write_bytes(b"resource fork")
    assert load("omniglot", tmp_path, download=False).counts["train"] == 5


def test_a_missing_part_of_omniglot_is_refused(characters, tmp_path):
    folder = tmp_path / "omniglot-py" / "images_background"
    folder.rename(folder.with_name("elsewhere"))
    assert "images_background: 0 images, expected 7" in refusal("omniglot", tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) * 2 // 3],
        lambda content: content[:60] + bytes(8) + content[68:],
        lambda content: b"<html>not found</html>",
    ],
)
def test_a_drawing_that_does_not_decode_is_refused_by_name(characters, tmp_path, change):
    path = characters["images_background"][3]
    noise = np.random.default_rng(0).random((105, 105)) < 0.5  # does not compress: a longer file
    Image.fromarray(noise).save(path)
    path.write_bytes(change(path.read_bytes()))
    message = refusal("omniglot", tmp_path)
    assert f"dataset omniglot: {path}: cannot be decoded" in message


def test_a_drawing_of_another_size_is_refused(characters, tmp_path):
    path = characters["images_background"][3]
    Image.new("1", (28, 28)).save(path)
    assert f"{path}: cannot be decoded (28x28 pixels, expected 105x105)" in refusal(
        "omniglot", tmp_path
    )


@pytest.fixture
def folder_of_images(tmp_path) -> Path:
    """train/ with 40 images in two classes, val/ with 3; image n has brightness n; one is grey."""
    root = tmp_path / "imagenet32"
    for number in range(43):
        part = "train" if number < 40 else "val"
        folder = root / part / f"n{number % 2:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        mode, colour = ("L", number) if number == 7 else ("RGB", (number,) * 3)
        Image.new(mode, (50, 64), colour).save(folder / f"{number:04d}.png")
    return root


def test_an_image_folder_gives_val_as_test_and_a_twentieth_of_train_as_validation(
    folder_of_images, tmp_path
):
    data = load("imagenet32", tmp_path, download=False)
    assert data.counts == {"train": 38, "validation": 2, "test": 3}
    level = [split[:, 0, 0, 0].tolist() for split in (data.train, data.validation, data.test)]
    assert sorted(level[0] + level[1]) == list(range(40))  # grey images became colour ones
    assert sorted(level[2]) == [40, 41, 42]
    assert data.train.eq(data.train[:, :1, :1, :1]).all()


def test_the_note_of_an_image_folder_knows_its_list_of_files(folder_of_images, tmp_path):
    before = load("imagenet32", tmp_path, download=False)
    path = next((folder_of_images / "val").rglob("*.png"))
    path.rename(path.with_name("9999.png"))
    after = load("imagenet32", tmp_path, download=False)
    assert before.note.startswith("file list SHA-256 ")
    assert before.note != after.note


def test_an_image_folder_without_images_is_refused(folder_of_images, tmp_path):
    for path in (folder_of_images / "val").rglob("*.png"):
        path.unlink()
    assert "val: 0 images, expected at least one" in refusal("imagenet32", tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (7, 64)])
def test_a_picture_of_a_few_pixels_is_refused(folder_of_images, tmp_path, size):
    path = next((folder_of_images / "train").rglob("*.png"))
    Image.new("RGB", size).save(path)
    expected = f"{path}: cannot be decoded ({size[0]}x{size[1]} pixels, expected at least 8 a side)"
    assert expected in refusal("imagenet32", tmp_path)


def test_pictures_that_were_enlarged_stand_in_the_note(folder_of_images, tmp_path):
    assert "enlarged" not in load("imagenet32", tmp_path, download=False).note
    first, second, third, *_ = (folder_of_images / "train").rglob("*.png")
    for path, size in ((first, (31, 400)), (second, (8, 8)), (third, (32, 32))):
        Image.new("RGB", size).save(path)
    note = load("imagenet32", tmp_path, download=False).note
    assert "; enlarged, of fewer than 32 pixels a side: 2" in note


@pytest.fixture
def tiny(tmp_path) -> Path:
    """Tiny-ImageNet's official layout: three classes of 41, 20 and 3 training images and 5 of val/,
    each of one grey level of its own (3 n); the second of each class is a one-channel JPEG."""
    root = tmp_path / "tiny-imagenet-200"
    level = iter(range(0, 256, 3))
    for wnid, count in (("n01", 41), ("n02", 20), ("n03", 3)):
        folder = root / "train" / wnid / "images"
        folder.mkdir(parents=True)
        (folder.parent / f"{wnid}_boxes.txt").write_text("n01_0.JPEG 0 0 62 62\n")
        for number in range(count):
            grey = next(level)
            mode, colour = ("L", grey) if number == 1 else ("RGB", (grey,) * 3)
            Image.new(mode, (64, 64), colour).save(folder / f"{wnid}_{number:02d}.JPEG")
    for part in ("val", "test"):
        (root / part / "images").mkdir(parents=True)
    for number in range(5):
        picture = Image.new("RGB", (64, 64), (next(level),) * 3)
        picture.save(root / "val" / "images" / f"val_{number}.JPEG")
    (root / "test" / "images" / "test_0.JPEG").write_bytes(b"unlabelled, and never opened")
    return root


def greys(split: torch.Tensor) -> list[int]:
    """The one grey level of each image, sorted."""
    assert split.eq(split[:, :1, :1, :1]).all()
    return sorted(split[:, 0, 0, 0].tolist())


def test_one_in_twenty_of_each_class_of_tiny_imagenet_validates_and_val_tests(tiny, tmp_path):
    data = load("tiny_imagenet32", tmp_path, download=False)
    assert data.shape == (3, 32, 32)
    held = [0, 20, 40, 41, 61]  # images 0, 20 and 40 of n01, 0 of n02, 0 of n03
    assert greys(data.validation) == [3 * row for row in held]
    assert greys(data.train) == [3 * row for row in range(64) if row not in held]
    assert greys(data.test) == [3 * row for row in range(64, 69)]


def test_the_first_images_of_tiny_imagenets_train_split_are_of_many_classes(tiny, tmp_path):
    first = load("tiny_imagenet32", tmp_path, download=False).train[:20, 0, 0, 0]
    assert first.lt(3 * 41).any()
    assert first.ge(3 * 41).any()


def test_tiny_imagenet_sorted_into_class_folders_is_the_same_set(tiny, tmp_path):
    before = load("tiny_imagenet32", tmp_path, download=False)
    for images in (tiny / "train").glob("*/images"):
        for path in images.iterdir():
            path.rename(images.parent / path.name)
        images.rmdir()
    for number, path in enumerate(sorted((tiny / "val" / "images").iterdir())):
        folder = tiny / "val" / f"n0{3 - number % 3}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    after = load("tiny_imagenet32", tmp_path, download=False)
    assert after.fingerprint == before.fingerprint
    assert after.note == before.note


def test_a_pixel_of_tiny_imagenet32_is_the_mean_of_four(tiny, tmp_path):
    path = tiny / "val" / "images" / "val_3.JPEG"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    decoded = np.asarray(Image.open(path), dtype=float)
    expected = decoded.reshape(32, 2, 32, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    found = load("tiny_imagenet32", tmp_path, download=False).test.double().numpy()
    closest = min(found, key=lambda image: abs(image - expected).max())
    np.testing.assert_allclose(closest, expected, atol=1)  # Pillow rounds rows, then columns


def test_a_part_of_tiny_imagenet_has_another_note(tiny, tmp_path):
    before = load("tiny_imagenet32", tmp_path, download=False).note
    assert before.startswith("64 of 100,000 training and 5 of 10,000 validation images")
    assert "not the ImageNet 32x32 benchmark" in before
    (tiny / "train" / "n02" / "images" / "n02_07.JPEG").unlink()
    after = load("tiny_imagenet32", tmp_path, download=False)
    assert after.counts == {"train": 58, "validation": 5, "test": 5}
    assert after.note.startswith("63 of 100,000")
    assert after.note[-64:] != before[-64:]


def test_a_broken_or_resized_image_of_tiny_imagenet_is_refused_by_name(tiny, tmp_path):
    path = tiny / "train" / "n02" / "images" / "n02_05.JPEG"
    content = path.read_bytes()
    Image.new("RGB", (32, 32)).save(path)
    assert f"{path}: cannot be decoded (32x32 pixels, expected 64x64)" in refusal(
        "tiny_imagenet32", tmp_path
    )
    path.write_bytes(content[: len(content) // 2])
    assert f"{path}: cannot be decoded" in refusal("tiny_imagenet32", tmp_path)


def test_tiny_imagenet_without_its_val_folder_is_refused(tiny, tmp_path):
    (tiny / "val").rename(tiny / "elsewhere")
    assert "val: 0 images, expected at least one" in refusal("tiny_imagenet32", tmp_path)
