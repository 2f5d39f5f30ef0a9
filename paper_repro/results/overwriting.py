"""What a command must not write over: runs, rows of other studies or tiers, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from pathlib import Path

from paper_repro import record
from paper_repro.errors import UserError
from paper_repro.results import csvfile
from paper_repro.results.csvfile import Record
from paper_repro.results.files import COLUMNS, NAMES, RANK, STUDIES, Tables

Owner = tuple[str, str]  # study, tier
ELSEWHERE = "give another --out, or delete what lies there"


def owners_of(tables: Tables) -> set[Owner]:
    """Whose rows tables hold, by their cells."""
    return set(map(itemgetter(*map(COLUMNS["cells"].index, ("study", "tier"))), tables["cells"]))


def check_folder(out: Path, owners: set[Owner], inputs: Iterable[Path] = ()) -> None:
    """UserError unless the tables of `owners` may be written to the folder `out`.

    It may not be that of a run, nor one of the folders `inputs`, nor hold rows of other studies or
    tiers, nor lie beside rows of other tiers."""
    if (out / record.RECORD).is_file():
        raise UserError(f"{out}: is the folder of a run; {ELSEWHERE}")
    place, homes = out.resolve(), [path.resolve() for path in inputs]
    if place in homes:
        raise UserError(f"{out}: is read and would be written over; {ELSEWHERE}")
    for study, tier in sorted(_owners_in(out) - owners):
        raise UserError(f"{out}: holds rows of {study} at tier {tier}; {ELSEWHERE}")
    below = [path for path in sorted(out.glob(f"{STUDIES}/*")) if _owners_in(path)]
    if below and not (homes and all(home.parent == place / STUDIES for home in homes)):
        raise UserError(f"{out}: tables there would hide the rows in {below[0]}; {ELSEWHERE}")
    if place.parent.name == STUDIES:
        beside = (_owners_in(path) for path in place.parent.glob("*"))
        check_tiers(owners.union(*beside), out)


def check_tiers(owners: Iterable[Owner], *roots: Path) -> None:
    """UserError for rows of several tiers, unless they are such as are published together and come
    from one results folder."""
    tiers = sorted({tier for _, tier in owners})
    one = len({root.resolve().parent for root in roots}) == 1
    if len(tiers) > 1 and not (one and set(tiers) <= RANK.keys()):
        raise UserError(f"{roots[-1]}: rows of tiers {' and '.join(tiers)} are not joined")


def check_file(out: Path, ours: Callable[[bytes], object], what: str) -> None:
    """UserError if there is a file `out` that is not `ours`, an earlier version of what is to be
    written there."""
    if out.is_file() and (content := out.read_bytes()).strip() and not ours(content):
        raise UserError(f"{out}: holds something else than {what}; {ELSEWHERE}")


def check_csv(out: Path, columns: Record, inputs: Iterable[Path] = ()) -> None:
    """UserError if there is a file `out` that is one of the `inputs`, or no earlier version of a
    CSV file with such columns: the first two differ, or it is a table of a results folder."""
    if out.resolve() in [path.resolve() for path in inputs]:
        raise UserError(f"{out}: is read and would be written over; {ELSEWHERE}")
    head = ",".join(columns[:2]).encode()
    known = out.name not in NAMES.values()
    check_file(out, lambda content: known and content.startswith(head), f"{head.decode()},...")


def _owners_in(folder: Path) -> set[Owner]:
    """Whose rows lie in a folder, by the first of its tables; none where it has no table."""
    for name in sorted(NAMES[table] for table in COLUMNS if "tier" in COLUMNS[table]):
        path = folder / name
        try:
            head, *rows = csvfile.parse(path.read_bytes(), path)
        except (FileNotFoundError, NotADirectoryError):  # or another process replaces it just now
            continue
        if not {"study", "tier"} <= set(head):
            raise UserError(f"{path}: no table of results; {ELSEWHERE}")
        return set(map(itemgetter(head.index("study"), head.index("tier")), rows))
    return set()
