"""CSV files, read strictly.

What is read was written by this package, perhaps on another machine: UTF-8, Unix line ends, as
many fields in every line as in the header, a line break at the end of the last. Whatever differs
was cut short, edited or damaged on the way, and is refused by its line.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from pathlib import Path

from paper_repro.errors import UserError

Record = tuple[str, ...]
Readable = Path | zipfile.Path  # a file or folder on the disk or inside a zip
LARGEST = 2**29  # bytes of a table as text; the curves of 850 runs, which are published, have 74e6


def read(path: Readable, columns: Record = ()) -> list[Record]:
    """All lines of a CSV file, the header first; gzipped where its name ends so.

    Line n of the file is entry n - 1. UserError, naming the line, for what this package would not
    have written, and for other columns than `columns`, if any are given.
    """
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder' if path.is_dir() else 'not there'}")
    return parse(path.read_bytes(), path, columns)


def parse(raw: bytes, path: Readable, columns: Record = ()) -> list[Record]:
    """As `read`, from the bytes of the file."""
    if path.name.endswith(".gz"):
        raw = _unzip(raw, path)
    if len(raw) > LARGEST:
        raise UserError(f"{path}: more than {LARGEST} bytes of text, which no table has")
    content = _text(raw, path)
    head = tuple(content[: content.index("\n")].split(","))
    if columns and head != columns:
        odd = sorted(set(head) ^ set(columns)) or ["their order"]
        raise UserError(f"{path}: its columns differ from what this version writes: {odd[0]}")
    return _records(content, path)


def _unzip(raw: bytes, path: Readable) -> bytes:
    """At most a byte more than LARGEST, however much is packed in `raw`."""
    stream = zlib.decompressobj(wbits=31)
    try:
        found = stream.decompress(raw, LARGEST + 1)
    except zlib.error as error:
        raise UserError(f"{path}: damaged ({error})") from None
    if len(found) <= LARGEST and not stream.eof:
        raise UserError(f"{path}: cut short")
    if stream.unused_data:
        raise UserError(f"{path}: {len(stream.unused_data)} bytes follow its end")
    return found


def _text(raw: bytes, path: Readable) -> str:
    for mark, name in ((b"\0", "a NUL byte"), (b"\r", "a carriage return (Windows' line end?)")):
        if (at := raw.find(mark)) >= 0:
            raise UserError(f"{path}, line {_line(raw, at)}: {name}")
    if not raw:
        raise UserError(f"{path}: empty")
    if not raw.endswith(b"\n"):
        raise UserError(f"{path}, line {_line(raw, len(raw))}: cut short")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}, line {_line(raw, error.start)}: is not UTF-8") from None


def _line(raw: bytes, at: int) -> int:
    return raw.count(b"\n", 0, at) + 1


def _records(content: str, path: Readable) -> list[Record]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    found: list[Record] = []
    fault = ""
    try:
        for fields in reader:
            found.append(tuple(fields))
            if len(fields) != len(found[0]) or reader.line_num != len(found):
                fault = f"{len(fields)} fields, not {len(found[0])}" if fields else "blank"
                if reader.line_num != len(found):
                    fault = "a line break inside quotes"
                break
    except csv.Error as error:
        found.append(())
        fault = f"is no CSV ({error})"
    if fault:
        raise UserError(f"{path}, line {len(found)}: {fault}")
    return found
