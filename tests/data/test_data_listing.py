"""What counts as an image, the same for every set kept as files: hidden and system files left out,
links followed once, odd names and half-copied files refused in one line."""

from __future__ import annotations

import io
import os
import struct
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from paper_repro.data.catalogue import DataSet, load
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError

SIZES = {  # width, height on disk
    "imagenet32": (40, 40),
    "tiny_imagenet32": (64, 64),
    "omniglot": (105, 105),
    "celeba_half_64": (89, 109),
    "celeba": (178, 218),
}


any_bytes = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux takes any bytes for a file name"
)


@dataclass(frozen=True)
class Made:
    """A small set on disk, and the folder of it that most of its images lie in."""

    name: str
    root: Path
    images: Path

    def load(self) -> DataSet:
        return load(self.name, self.root, download=False)

    def picture(self, level: int = 250) -> bytes:
        return encoded(self.name, level)

    def refusal(self) -> str:
        with pytest.raises(UserError) as caught:
            self.load()
        assert "\n" not in str(caught.value)
        return str(caught.value)


def encoded(name: str, level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", SIZES[name], level).save(buffer, format="PNG")
    return buffer.getvalue()


def make(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Twenty images n of grey level n in one folder and four in another, which tests where a set is
    kept in two parts; the set asks for these counts if it asks for any."""
    folder = root / DATASETS[name]["folder"]
    parts = {
        "imagenet32": ("train/n01", "val/n01"),
        "tiny_imagenet32": ("train/n01", "val/n01"),
        "omniglot": ("images_background/Latin/character01", "images_evaluation/Greek/character01"),
        "celeba_half_64": ("a", "b"),
        "celeba": ("img_align_celeba", "img_align_celeba"),
    }[name]
    if DATASETS[name]["counts"]:
        monkeypatch.setitem(DATASETS, name, DATASETS[name] | {"counts": [18, 2, 4]})
    for number in range(24):
        place = folder / parts[number >= 20]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06d}.png").write_bytes(encoded(name, number))
    if name == "celeba":
        lines = [f"{n:06d}.png {(n >= 18) + (n >= 20)}\n" for n in range(24)]
        (folder / "list_eval_partition.txt").write_text("".join(lines))
    return Made(name, root, folder / parts[0])


@pytest.fixture(params=SIZES)
def made(request, tmp_path, monkeypatch) -> Made:
    return make(request.param, tmp_path, monkeypatch)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Made:
    return make("imagenet32", tmp_path, monkeypatch)


LITTER = [  # what systems, servers and programs leave in folders, each an image by its suffix
    ".ipynb_checkpoints/000001-checkpoint.png",
    "__MACOSX/000001.png",
    "._000001.png",
    ".hidden.jpg",
    "@eaDir/000001.png/SYNOPHOTO_THUMB_M.jpg",
    "#recycle/000001.png",
    "$RECYCLE.BIN/S-1-5/$RA1B2C3.png",
    "lost+found/#12345.png",
    ".Trash-1000/files/000001.png",
    "System Volume Information/000001.JPG",
    ".git/annex/objects/000001.png",
    "~snapshot/hourly.0/000001.png",
]


@pytest.mark.parametrize("litter", LITTER)
def test_hidden_and_system_files_are_no_images_of_any_set_and_the_note_counts_them(made, litter):
    clean = made.load()
    path = made.images / litter
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.picture())
    (made.images / "Thumbs.db").write_bytes(b"no image")
    (made.images / ".DS_Store").write_bytes(b"no image")
    found = made.load()
    assert found.fingerprint == clean.fingerprint
    added = "left out: hidden or system files (1)"
    assert found.note in {f"{clean.note}; {added}", added}


@pytest.mark.parametrize("litter", LITTER)
def test_hidden_and_system_files_of_an_archive_are_no_images(tmp_path, monkeypatch, litter):
    made = make("celeba_half_64", tmp_path, monkeypatch)
    clean = made.load()
    with zipfile.ZipFile(made.images / "more.zip", "w") as archive:
        archive.writestr(f"img/{litter}", made.picture())
    found = made.load()
    assert found.fingerprint == clean.fingerprint
    assert found.note == f"{clean.note}; left out: hidden or system files (1)"


@pytest.mark.parametrize("end", [".webp", ".bmp", ".tar.gz", ".7z"])
def test_images_of_other_formats_and_archives_that_are_not_read_are_counted(folder, end):
    (folder.images / f"000000{end}").write_bytes(b"not opened")
    kind = "neither PNG nor JPEG" if end in {".webp", ".bmp"} else "archives"
    assert folder.load().note.endswith(f"; left out: {kind} (1)")
    for path in folder.images.glob("*.png"):
        path.unlink()
    assert f"train: 0 images, expected at least one; left out: {kind} (1)" in folder.refusal()


ODD_SUFFIXES = [
    "x.pjpeg",
    "x.jpg_",
    "x.jpeg ",
    "x.JPG.bak",
    "x.png~",
    "x",
    "notes.txt",
    "x.jpg.txt",
]


@pytest.mark.parametrize("file", ODD_SUFFIXES)
def test_a_file_with_an_odd_suffix_is_no_image_and_the_note_counts_it(made, file):
    clean = made.load()
    (made.images / file).write_bytes(made.picture())
    found = made.load()
    assert found.fingerprint == clean.fingerprint
    added = "left out: other files (1)"
    assert found.note in {f"{clean.note}; {added}", added}


def test_a_file_of_an_archive_with_an_odd_suffix_is_counted_too(tmp_path, monkeypatch):
    made = make("celeba_half_64", tmp_path, monkeypatch)
    clean = made.load()
    with zipfile.ZipFile(made.images / "more.zip", "w") as archive:
        archive.mkdir("img")
        archive.writestr("img/x.pjpeg", made.picture())
        archive.writestr("img/list_attr_celeba.txt", b"")
    assert made.load().note == f"{clean.note}; left out: other files (1)"


def test_the_lists_that_a_set_comes_with_are_not_counted(made):
    clean = made.load()
    lists = ["n01443537_boxes.txt", "val_annotations.txt", "list_attr_celeba.csv"]
    for file in (*lists, "list_eval_partition.txt", "identity_CelebA.txt"):
        (made.images / file).write_text("")
    assert made.load().note == clean.note


def test_a_folder_of_a_set_may_be_a_link_wherever_it_leads(made, tmp_path):
    clean = made.load()
    made.images.rename(tmp_path / "elsewhere")
    made.images.symlink_to(tmp_path / "elsewhere")
    found = made.load()
    assert (found.fingerprint, found.note) == (clean.fingerprint, clean.note)


LINKS: dict[str, Callable[[Path], object]] = {
    "to itself": lambda images: (images / "again").symlink_to(images),
    "to what holds it": lambda images: (images / "up").symlink_to(images.parent),
    "to the folder of the set": lambda images: (images / "up").symlink_to("../.."),
    "to everything": lambda images: (images / "root").symlink_to("/"),
    "to its neighbour": lambda images: (images.parent / "n00").symlink_to("n01"),
}


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_to_a_folder_read_already_or_above_adds_no_image(folder, kind):
    clean = folder.load()
    LINKS[kind](folder.images)
    found = folder.load()
    assert found.fingerprint == clean.fingerprint
    assert found.note == f"{clean.note}; left out: links to folders read already or above (1)"


def test_of_two_links_to_one_folder_the_first_by_name_is_followed(folder, tmp_path):
    folder.images.rename(tmp_path / "elsewhere")
    for name in ("n02", "n01"):
        folder.images.with_name(name).symlink_to(tmp_path / "elsewhere")
    twice = folder.load().note
    folder.images.with_name("n02").unlink()
    assert twice == f"{folder.load().note}; left out: links to folders read already or above (1)"


def test_a_link_to_an_image_is_an_image_and_its_pixels_a_duplicate(folder):
    (folder.images / "000030.png").symlink_to("000003.png")
    data = folder.load()
    assert sum(data.counts.values()) == 25
    assert data.duplicates == 1
    assert "1 exact duplicate" in data.note


def test_duplicates_are_in_the_note_and_those_in_two_splits_apart(folder):
    test = folder.images.parents[1] / "val" / "n01"
    assert folder.load().note.count("duplicate") == 0
    for number, level in enumerate((1, 2, 20)):  # two of train, and one of val again
        (test / f"1{number:05d}.jpg").write_bytes(folder.picture(level))
    data = folder.load()
    assert (data.duplicates, data.leaked) == (3, 2)
    assert data.note.endswith("; 3 exact duplicates, 2 of them in two splits")


ODD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    # what is done in the folder of images; the name and the words that must be in the one line
    "a folder called like an image": (
        lambda images: (images / "x.jpg").mkdir(),
        "x.jpg",
        "a folder that is called like an image",
    ),
    "an image that is a link to nothing": (
        lambda images: (images / "x.png").symlink_to("/gone/x.png"),
        "x.png",
        "a link to nothing",
    ),
    "an image that is a link to itself": (
        lambda images: (images / "x.png").symlink_to("x.png"),
        "x.png",
        "a link to nothing",
    ),
    "a class that is a link to nothing": (
        lambda images: images.with_name("n02").symlink_to("/gone/n02"),
        "n02",
        "a link to nothing",
    ),
    "a download that goes on": (
        lambda images: (images / "x.JPG.crdownload").write_bytes(b""),
        "x.JPG.crdownload",
        "an unfinished copy",
    ),
    "an empty file": (lambda images: (images / "x.png").touch(), "x.png", "0 bytes"),
    "an empty file with a line break in its name": (
        lambda images: (images / "x\ny.png").touch(),
        r"x\ny.png",
        "0 bytes",
    ),
    "an empty file whose name is not UTF-8": (
        lambda images: Path(os.fsdecode(os.fsencode(images) + b"/\xff.png")).touch(),
        r"\udcff.png",
        "0 bytes",
    ),
    "a text": (
        lambda images: (images / "x.jpeg").write_text("version https://git-lfs.github.com"),
        "x.jpeg",
        "neither PNG nor JPEG",
    ),
    "a file of three gigabytes": (
        lambda images: ((images / "x.png").touch(), os.truncate(images / "x.png", 3 << 30)),
        "x.png",
        "3,221,225,472 bytes, at most 268,435,456",
    ),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=any_bytes if "UTF-8" in kind else ()) for kind in ODD]
)
def test_what_might_be_an_image_and_is_none_is_refused_by_name(folder, kind):
    act, name, words = ODD[kind]
    act(folder.images)
    message = folder.refusal()
    assert message.startswith(f"dataset {folder.name}: ")
    assert f"/{name}: " in message
    assert words in message
    assert message.encode().decode().isprintable()


def test_a_folder_that_cannot_be_read_is_refused_and_not_passed_over(folder, monkeypatch):
    forward = os.scandir

    def denied(path: Path) -> object:
        if Path(path).name == "n01":
            raise PermissionError(13, "Permission denied")
        return forward(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert f"{folder.images}: cannot be read (Permission denied)" in folder.refusal()


def test_a_pipe_called_like_an_image_is_left_out(folder):
    os.mkfifo(folder.images / "x.png")
    assert folder.load().note.endswith("; left out: devices (1)")


@any_bytes
def test_a_name_that_is_not_utf_8_is_taken_like_any_other(folder):
    clean = folder.load()
    last = folder.images / "000019.png"
    last.rename(os.fsdecode(os.fsencode(folder.images) + b"/\xff.png"))
    found = folder.load()
    assert found.fingerprint == clean.fingerprint
    assert found.note != clean.note  # the list of files is another, and has a hash


ARCHIVES: dict[str, tuple[Callable[[bytearray, int], object], str]] = {
    # a change of the last entry's record in the directory of the archive
    "a password": (lambda b, at: b.__setitem__(at + 8, b[at + 8] | 1), "has a password"),
    "another compression": (lambda b, at: b.__setitem__(at + 10, 99), "compression"),
    "a file of three gigabytes": (
        lambda b, at: b.__setitem__(slice(at + 24, at + 28), struct.pack("<I", 3 << 30)),
        "3,221,225,472 bytes, at most",
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_file_of_an_archive_that_cannot_be_read_is_refused_by_name(tmp_path, monkeypatch, kind):
    made = make("celeba_half_64", tmp_path, monkeypatch)
    path = made.images / "more.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img/000030.jpg", made.picture())
    content = bytearray(path.read_bytes())
    change, words = ARCHIVES[kind]
    change(content, content.rindex(b"PK\1\2"))
    path.write_bytes(content)
    message = made.refusal()
    assert f"{path}/img/000030.jpg: " in message
    assert words in message


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("img/inner.zip", "an archive in an archive is not read; unpack it"),
        ("img/x.jpg/", "a folder that is called like an image"),
        ("img/x.png.part", "an unfinished copy"),
        ("other/000001.png", "two images are called 000001.png"),
    ],
)
def test_an_odd_member_of_an_archive_is_refused_by_name(tmp_path, monkeypatch, member, words):
    made = make("celeba_half_64", tmp_path, monkeypatch)
    with zipfile.ZipFile(made.images / "more.zip", "w") as archive:
        archive.writestr(member, b"")
    message = made.refusal()
    assert words in message
    assert member.rstrip("/").rpartition("/")[2] in message


@pytest.mark.parametrize("prefix", ["img\\", "/img/", "../img/", "./"])
@pytest.mark.parametrize("suffix", [".zip", ".ZIP"])
def test_an_archive_is_read_however_it_was_packed(tmp_path, monkeypatch, prefix, suffix):
    made = make("celeba_half_64", tmp_path, monkeypatch)
    clean = made.load()
    with zipfile.ZipFile(made.images / f"all{suffix}", "w") as archive:
        for path in sorted(made.images.glob("*.png")):
            archive.writestr(prefix + path.name, path.read_bytes())
            path.unlink()
    found = made.load()
    assert (found.fingerprint, found.note) == (clean.fingerprint, clean.note)


def test_a_file_system_that_spells_accents_its_own_way_changes_nothing(tmp_path, monkeypatch):
    """In NFC an accented letter comes after all ASCII, in NFD (macOS) it starts with an e."""
    names = ["caf\u00e9.png", "caff.png", "cafz.png"]
    found = []
    for form in ("NFC", "NFD"):
        made = make("imagenet32", tmp_path / form, monkeypatch)
        for level, name in enumerate(names, start=100):
            path = made.images / unicodedata.normalize(form, name)
            path.write_bytes(made.picture(level))
        found.append(made.load())
    assert found[0].fingerprint == found[1].fingerprint
    assert found[0].note == found[1].note


@pytest.mark.parametrize("name", ["imagenet32", "celeba_half_64"])
def test_a_file_system_that_knows_no_lower_case_changes_nothing(name, tmp_path, monkeypatch):
    """By code points B comes before a, and in capitals after it."""
    found = []
    for spell in (str, str.upper):
        made = make(name, tmp_path / spell.__name__, monkeypatch)
        for level, file in enumerate(("B.png", "a.png", "C.png"), start=100):
            (made.images / spell(file)).write_bytes(made.picture(level))
        found.append(made.load())
    assert found[0].fingerprint == found[1].fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode() + b"\r\n",
    ],
)
def test_celebas_list_may_have_been_through_an_editor(tmp_path, monkeypatch, change):
    made = make("celeba", tmp_path, monkeypatch)
    clean = made.load()
    listing = made.images.parent / "list_eval_partition.txt"
    listing.write_bytes(change(listing.read_text()))
    assert made.load().fingerprint == clean.fingerprint


@pytest.mark.parametrize("change", [(" 2", " 3"), (" ", ","), (" 0", " " + "9" * 30)])
def test_a_list_of_celeba_that_names_no_part_is_refused_by_name(tmp_path, monkeypatch, change):
    made = make("celeba", tmp_path, monkeypatch)
    listing = made.images.parent / "list_eval_partition.txt"
    listing.write_text(listing.read_text().replace(*change))
    assert f"{listing}: no list of file names and parts" in made.refusal()


def test_celeba_names_the_first_missing_portrait_and_how_many_more(tmp_path, monkeypatch):
    made = make("celeba", tmp_path, monkeypatch)
    for number in (3, 7, 8):
        (made.images / f"{number:06d}.png").unlink()
    assert f"{made.images / '000003.png'}: missing, and 2 more" in made.refusal()


def test_celeba_may_lie_one_folder_deeper_as_some_unpack_it(tmp_path, monkeypatch):
    made = make("celeba", tmp_path, monkeypatch)
    clean = made.load()
    inner = made.images / "img_align_celeba"
    inner.mkdir()
    for path in made.images.glob("*.png"):
        path.rename(inner / path.name)
    assert made.load().fingerprint == clean.fingerprint


def test_celeba_says_what_its_list_does_not_name_and_refuses_a_list_that_repeats(
    tmp_path, monkeypatch
):
    made = make("celeba", tmp_path, monkeypatch)
    (made.images / "000099.png").write_bytes(made.picture())
    assert "images that the list lacks: 1" in made.load().note
    listing = made.images.parent / "list_eval_partition.txt"
    listing.write_text(listing.read_text().replace("000003", "000004"))
    assert f"{listing}: it names a file twice" in made.refusal()
