"""CelebA and its parts, on synthetic portraits as files and in zip archives."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paper_repro.data import catalogue, celeba
from paper_repro.data.catalogue import load
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError
from tests.data.small_sets import reverse_directories

PARTS = ("celeba_half_64", "celeba128_subset")
SIZES = {"celeba_half_64": (109, 89), "celeba128_subset": (218, 178)}  # height, width
CROPS = {  # rows and columns
    "celeba_half_64": (slice(19, 89), slice(9, 79)),
    "celeba128_subset": (slice(45, 173), slice(25, 153)),
}


def expect(monkeypatch: pytest.MonkeyPatch, name: str, counts: list[int]) -> None:
    monkeypatch.setitem(DATASETS, name, DATASETS[name] | {"counts": counts})


def refusal(name: str, root: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(name, root, download=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def framed(name: str, level: int) -> np.ndarray:
    """A red portrait of the size that `name` asks for, whose crop alone is of one grey level."""
    picture = np.full((*SIZES[name], 3), [255, 0, 0], dtype=np.uint8)
    picture[CROPS[name]] = level
    return picture


def encoded(picture: np.ndarray) -> bytes:
    """Lossless, whatever the file is called."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def numbered(name: str, count: int = 20) -> dict[str, bytes]:
    """Files 000001.jpg, ... of levels 1, 2, ..."""
    return {f"{n:06d}.jpg": encoded(framed(name, n)) for n in range(1, count + 1)}


def folder_of(name: str, root: Path) -> Path:
    folder = root / DATASETS[name]["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(files: dict[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)


def archive(files: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for file, content in files.items():
            made.writestr(f"img_align_celeba/{file}", content)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_cropped_and_split_in_the_order_of_its_names(name, tmp_path):
    write(numbered(name), folder_of(name, tmp_path))
    data = load(name, tmp_path, download=False)
    assert list(data.shape) == DATASETS[name]["shape"]
    assert data.counts == {"train": 17, "validation": 1, "test": 2}
    for split, first in ((data.train, 1), (data.validation, 18), (data.test, 19)):
        for number, image in enumerate(split, start=first):
            assert image.eq(number).all()  # all of the crop, nothing of the frame


@pytest.mark.parametrize("name", PARTS)
def test_folder_zip_and_several_zips_are_the_same_set(name, tmp_path, monkeypatch):
    files = numbered(name)
    early, late = dict(list(files.items())[:9]), dict(list(files.items())[9:])
    write(files, folder_of(name, tmp_path / "files"))
    write(late, folder_of(name, tmp_path / "deep") / "a")
    write(early, folder_of(name, tmp_path / "deep") / "b" / "c")
    archive(files, folder_of(name, tmp_path / "zip") / "all.zip")
    archive(dict(reversed(late.items())), folder_of(name, tmp_path / "zips") / "a.zip")
    archive(early, folder_of(name, tmp_path / "zips") / "b.zip")
    found = [load(name, tmp_path / kind, download=False) for kind in ("files", "deep", "zip")]
    reverse_directories(monkeypatch)
    found += [load(name, tmp_path / kind, download=False) for kind in ("zips", "deep")]
    assert len({(data.fingerprint, data.note) for data in found}) == 1


@pytest.mark.parametrize("name", PARTS)
def test_the_note_of_a_part_says_how_much_it_is_and_knows_its_list_of_files(name, tmp_path):
    files = numbered(name)
    write(files, folder_of(name, tmp_path))
    note = load(name, tmp_path, download=False).note
    assert note.startswith("20 of the 202,599 images of CelebA")
    assert "people occur in several splits" in note
    assert ("half size" in note) == (name == "celeba_half_64")
    path = folder_of(name, tmp_path) / "000020.jpg"
    path.rename(path.with_name("000021.jpg"))
    other = load(name, tmp_path, download=False).note
    assert note[:-64] == other[:-64]
    assert note[-64:] != other[-64:]


def triangle(support: float) -> np.ndarray:
    """[64, 70]: bilinear weights of 70 pixels for 64, wide enough for them (antialiased) at 70/64,
    interpolating neighbours alone at 1."""
    centres = (np.arange(64) + 0.5) * 70 / 64
    weights = np.maximum(0, 1 - np.abs(np.arange(70) + 0.5 - centres[:, None]) / support)
    return weights / weights.sum(1, keepdims=True)


def test_a_half_size_crop_is_resized_with_antialiasing(tmp_path):
    files = numbered("celeba_half_64")
    picture = np.random.default_rng(0).integers(0, 256, (109, 89, 3), dtype=np.uint8)
    files["000020.jpg"] = encoded(picture)
    write(files, folder_of("celeba_half_64", tmp_path))
    found = load("celeba_half_64", tmp_path, download=False).test[-1].double().numpy()
    crop = picture[CROPS["celeba_half_64"]].transpose(2, 0, 1).astype(float)
    antialiased, interpolated = (w @ crop @ w.T for w in map(triangle, (70 / 64, 1.0)))
    assert np.abs(found - antialiased).max() < 1.01  # rounded twice: rows, then columns
    assert np.abs(found - interpolated).max() > 10


def test_an_image_that_occurs_twice_is_refused(tmp_path):
    files = numbered("celeba_half_64")
    folder = folder_of("celeba_half_64", tmp_path)
    archive(files, folder / "all.zip")
    write({"000007.jpg": files["000007.jpg"]}, folder)
    assert "two images are called 000007.jpg" in refusal("celeba_half_64", tmp_path)


def test_hidden_files_in_folders_and_archives_are_not_counted(tmp_path):
    files = numbered("celeba_half_64")
    folder = folder_of("celeba_half_64", tmp_path)
    archive(files | {"._000001.jpg": b"resource fork"}, folder / "all.zip")
    write({"._000001.jpg": b"resource fork", "._all.zip": b"another"}, folder)
    assert sum(load("celeba_half_64", tmp_path, download=False).counts.values()) == 20


def test_a_truncated_or_damaged_archive_is_refused_by_name(tmp_path):
    path = folder_of("celeba_half_64", tmp_path) / "all.zip"
    archive(numbered("celeba_half_64"), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert f"{path}: cannot be read" in refusal("celeba_half_64", tmp_path)
    path.write_bytes(content[:150] + bytes(20) + content[170:])  # inside the first image
    message = refusal("celeba_half_64", tmp_path)
    assert f"{path}/img_align_celeba/000001.jpg: cannot be decoded" in message


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_another_size_is_refused_by_name(name, tmp_path):
    (other,) = set(PARTS) - {name}
    write(numbered(other), folder_of(name, tmp_path))
    message = refusal(name, tmp_path)
    wrong, right = (f"{size[1]}x{size[0]}" for size in (SIZES[other], SIZES[name]))
    assert f"000001.jpg: cannot be decoded ({wrong} pixels, expected {right})" in message


def test_an_empty_folder_or_too_few_images_are_refused(tmp_path):
    folder = folder_of("celeba_half_64", tmp_path)
    assert f"{folder}: no images in it, neither as files nor" in refusal("celeba_half_64", tmp_path)
    write(numbered("celeba_half_64", 5), folder)
    message = refusal("celeba_half_64", tmp_path)
    assert "5 images are too few to split into train, validation, test ([4, 0, 1]" in message


@pytest.fixture(params=["celeba", "celeba128"])
def official(request, tmp_path, monkeypatch) -> tuple[str, Path]:
    """A CelebA of 6: red frame around a grey centre of brightness 10 * number; name and folder."""
    expect(monkeypatch, request.param, [3, 1, 2])
    rows, columns = {
        "celeba": (slice(29, 189), slice(9, 169)),
        "celeba128": CROPS["celeba128_subset"],
    }[request.param]
    folder, lines = tmp_path / "celeba" / "img_align_celeba", []
    folder.mkdir(parents=True)
    for number, part in enumerate([0, 0, 0, 1, 2, 2], start=1):
        picture = np.full((218, 178, 3), [255, 0, 0], dtype=np.uint8)
        picture[rows, columns] = 10 * number
        (folder / f"{number:06d}.jpg").write_bytes(encoded(picture))
        lines.append(f"{number:06d}.jpg {part}\n")
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("".join(lines))
    return request.param, folder


def test_celeba_follows_the_official_partition_and_crops_the_centre(official, tmp_path):
    name, _ = official
    data = load(name, tmp_path, download=False)
    assert list(data.shape) == DATASETS[name]["shape"]
    for split, numbers in ((data.train, [1, 2, 3]), (data.validation, [4]), (data.test, [5, 6])):
        for image, number in zip(split, numbers, strict=True):
            assert image.eq(10 * number).all()  # nothing of the frame, all of the centre


def test_a_partition_out_of_file_order_is_followed_too(official, tmp_path):
    name, _ = official
    path = tmp_path / "celeba" / "list_eval_partition.txt"
    parts = [2, 0, 1, 0, 2, 0]
    path.write_text("".join(f"{n:06d}.jpg {part}\n" for n, part in enumerate(parts, start=1)))
    data = load(name, tmp_path, download=False)
    levels = [split[:, 0, 0, 0].tolist() for split in (data.train, data.validation, data.test)]
    assert levels == [[20, 40, 60], [30], [10, 50]]


def test_celeba_is_held_in_memory_once(official, tmp_path, monkeypatch):
    name, _ = official
    pools, read = [], celeba.read
    monkeypatch.setattr(celeba, "read", lambda *a: pools.append(read(*a)) or pools[0])
    taken, fingerprint = [], catalogue.fingerprint
    monkeypatch.setattr(catalogue, "fingerprint", lambda *a: taken.append(a[2]) or fingerprint(*a))
    data = load(name, tmp_path, download=False)
    for split in ("train", "validation", "test"):
        assert np.shares_memory(taken[0][split], pools[0].images)
        assert np.shares_memory(getattr(data, split).flatten(1).numpy(), pools[0].images)


def test_a_missing_half_size_or_broken_portrait_is_refused_by_name(official, tmp_path):
    name, folder = official
    path = folder / "000002.jpg"
    content = path.read_bytes()
    Image.new("RGB", (89, 109)).save(path, format="JPEG")
    assert f"{path}: cannot be decoded (89x109 pixels" in refusal(name, tmp_path)
    path.write_bytes(content[:200])
    assert f"{path}: cannot be decoded" in refusal(name, tmp_path)
    path.unlink()
    assert f"{path}: missing" in refusal(name, tmp_path)


def test_a_missing_short_or_wrong_partition_file_is_refused(official, tmp_path):
    name, _ = official
    path = tmp_path / "celeba" / "list_eval_partition.txt"
    text = path.read_text()
    path.write_text(text[:-13])
    assert f"{path}: 5 lines, expected 6" in refusal(name, tmp_path)
    path.write_text("<html>quota exceeded</html>")
    assert f"{path}: no list of file names and parts" in refusal(name, tmp_path)
    path.unlink()
    assert f"{path}: no list of file names and parts" in refusal(name, tmp_path)
