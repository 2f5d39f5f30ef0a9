"""The command line: what the workflow's rules call, and what a user may call by hand.

Imports stand inside the commands: drawing never loads torch, training never loads matplotlib.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from paper_repro import __version__, arguments, grid, guarded
from paper_repro.errors import UserError

Command = Callable[[argparse.Namespace], None]


def train(args: argparse.Namespace) -> None:
    """Train all seeds of one or more cells, in order; finished runs come from the run store."""
    if args.out and len(args.cell) > 1:
        raise UserError("--out: is the folder of one cell, but several are named")
    cells = grid.find(args.study, args.tier, args.cell, args.seeds or None)
    guarded.import_torch()
    from paper_repro.claims import registration
    from paper_repro.data import search
    from paper_repro.training.run import train_cell

    for cell in cells:
        with _naming(cell.id):
            search.point_to(cell.datasets, args.data_dir, not args.no_download)
            train_cell(
                cell if args.seed is None else replace(cell, seeds=(args.seed,)),
                args.store,
                args.out,
                device=args.device,
                threads=args.threads,
                sources=grid.sources(cell),
                log=args.log,
                register=registration.of_all_studies,
            )


@contextmanager
def _naming(cell: str) -> Iterator[None]:
    """Errors inside say which cell they are about: the job may have several."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{cell}: {error}") from None
    except Exception as error:
        error.add_note(f"while training {cell}")
        raise


def collect(args: argparse.Namespace) -> None:
    """Gather the runs of a study in tidy tables."""
    from paper_repro.results.collect import collect as gather

    cells = grid.expand(args.study, args.tier, args.seeds or None)
    if cells and not (args.runs / args.study).is_dir():
        raise UserError(
            f"--runs: {args.runs} has no folder {args.study}; give results/<tier>/runs, "
            "where training left its runs"
        )
    gather(cells, args.runs, args.out, args.tier)


def merge(args: argparse.Namespace) -> None:
    """Join the tables of several studies into those of the suite; of none they have no rows."""
    from paper_repro.results.collect import merge as join_studies

    join_studies(args.roots, args.out)


def figures(args: argparse.Namespace) -> None:
    """Draw a study's figures from its collected rows."""
    from paper_repro.drawing.draw import draw_study

    draw_study(args.study, args.results, args.out)


def manifest(args: argparse.Namespace) -> None:
    """List the figures of a tier with their SHA-256."""
    from paper_repro.drawing.draw import write_manifest

    write_manifest(args.figures, args.out)


def tables(args: argparse.Namespace) -> None:
    """Render a study's tables as CSV, Markdown and LaTeX."""
    from paper_repro.drawing.tables import render_study

    render_study(args.study, args.results, args.out)


def claims(args: argparse.Namespace) -> None:
    """Give every claim of a study its verdict."""
    from paper_repro.claims.verdicts import judge_study

    judged = judge_study(args.study, args.results, args.out)
    if args.robustness:
        from paper_repro.claims.robustness import table, write

        write(table(args.study, judged), args.robustness)


def robustness(args: argparse.Namespace) -> None:
    """Join the studies' verdicts by other rules into one table."""
    from paper_repro.drawing.robustness import render

    render(args.files, args.out)


def power(args: argparse.Namespace) -> None:
    """Print how many seeds each finding needs, by the spread in published rows or in a pilot's."""
    from paper_repro.claims.power_report import lines

    for line in lines(args.study or grid.study_names(), args.results):
        print(line)


def join(args: argparse.Namespace) -> None:
    """Concatenate CSV files that have the same columns."""
    from paper_repro.results.collect import concatenate

    concatenate(args.files, args.out)


def report(args: argparse.Namespace) -> None:
    """Write the report, one HTML page that opens offline."""
    from paper_repro.report.page import build

    build(args.results, args.figures, args.out)


def readme(args: argparse.Namespace) -> None:
    """Write the published verdicts and hours into README.md, Makefile and docs/decisions.md."""
    from paper_repro.report.readme import update

    update(args.clone, args.claims)


def export(args: argparse.Namespace) -> None:
    """Pack the rows, curves and arrays of a tier to carry them to another machine."""
    from paper_repro.results.archive import pack

    pack(args.results, args.out)


def import_(args: argparse.Namespace) -> None:
    """Merge exported rows into the published ones; a higher tier replaces a lower one."""
    from paper_repro.results.published import import_results

    for line in import_results(args.source, args.published):
        print(line)


def list_(args: argparse.Namespace) -> None:
    """Print estimators, objectives, latents, likelihoods, models, data sets and studies."""
    from paper_repro.catalogue import lines

    print("\n".join(lines()))


def plan(args: argparse.Namespace) -> None:
    """Print the cells of a tier with their runs and steps, and the verdicts that there are."""
    from paper_repro.catalogue import cell_lines, plan_lines

    lines = cell_lines if args.cells else plan_lines
    print("\n".join(lines(args.study, args.tier)))


def fetch(args: argparse.Namespace) -> None:
    """Bring the data sets of a tier to where training looks for them, and read each once."""
    guarded.import_torch()
    from paper_repro.data.fetch import fetch as bring

    studies = args.study or grid.study_names()
    cells = [cell for study in studies for cell in grid.expand(study, args.tier)]
    for line in bring((name for cell in cells for name in cell.datasets), args.data_dir):
        print(line, flush=True)


def parser() -> arguments.Parser:
    """All commands with their options."""
    # no docstring is left under python -OO
    top = arguments.Parser(prog="python -m paper_repro", description=__doc__ or "")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="command")
    top.commands = commands.choices
    reads, writes = arguments.folder, arguments.folder_to_write
    tier = arguments.word(grid.TIERS)

    def command(function: Command, name: str = "") -> argparse.ArgumentParser:
        """A command named after its function."""
        name = name or function.__name__
        sub = commands.add_parser(name, help=(function.__doc__ or "").partition("\n")[0])
        sub.set_defaults(function=function)
        return sub

    def of_grid(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub.add_argument("--tier", required=True, type=tier)
        sub.add_argument("--study", required=True)
        seeds = arguments.whole(0, 10_000)
        sub.add_argument("--seeds", type=seeds, help="at most this many; 0: as the grid says")
        return sub

    sub = of_grid(command(train))
    sub.add_argument("--cell", required=True, nargs="+", action="extend")
    sub.add_argument("--seed", type=arguments.whole(0, 2**31 - 1), help="this seed alone")
    sub.add_argument("--out", type=writes, help="folder of the cell (default: the workflow's)")
    sub.add_argument("--store", type=writes, default="runs", help="run store (default: runs)")
    devices = arguments.word(["auto", "cpu", "cuda"])
    sub.add_argument("--device", default="auto", type=devices, help="auto, cpu or cuda")
    sub.add_argument("--threads", type=arguments.whole(1, 1024), default=1)
    sub.add_argument("--data-dir", type=reads)
    sub.add_argument("--no-download", action="store_true")
    sub.add_argument("--log", type=arguments.log_to_write, help="file for the progress lines")

    sub = of_grid(command(collect))
    sub.add_argument("--runs", type=reads, required=True, help="results/<tier>/runs")
    sub.add_argument("--out", type=writes, required=True, help="folder for the tables")
    sub = command(merge)
    sub.add_argument("--out", type=writes, required=True, help="folder for the tables")
    sub.add_argument("roots", type=reads, nargs="*", help="e.g. results/published/studies/*")
    sub = command(join)
    sub.add_argument("--out", type=arguments.file_to_write, required=True, help="a CSV file")
    sub.add_argument("files", type=arguments.file, nargs="+")

    study = arguments.word(grid.folders())
    outputs: tuple[tuple[Command, Callable[[str], Path]], ...] = (
        *((figures, writes), (tables, writes), (claims, arguments.file_to_write)),
    )
    for function, kind in outputs:
        sub = command(function)
        sub.add_argument("--results", type=reads, required=True, help="folder of the tables")
        sub.add_argument("--out", type=kind, required=True, help="where to write")
        sub.add_argument("--study", type=study, required=True)
        if function is claims:
            again = "verdicts by other rules, a CSV file to write"
            sub.add_argument("--robustness", type=arguments.file_to_write, help=again)
    sub = command(robustness)
    sub.add_argument("--out", type=arguments.file_to_write, required=True, help="a CSV file")
    sub.add_argument("files", type=arguments.file, nargs="+")
    sub = command(power)
    sub.add_argument("study", type=study, nargs="*", help="studies (default: all)")
    sub.add_argument("--results", type=reads, default="results/published", help="rows to go by")
    sub = command(manifest)
    sub.add_argument("--figures", type=reads, required=True, help="figures/<tier>")
    sub.add_argument("--out", type=arguments.file_to_write, required=True, help="a JSON file")
    sub = command(report)
    sub.add_argument("--results", type=reads, required=True, help="results/<tier>")
    sub.add_argument("--figures", type=reads, required=True, help="figures/<tier>")
    sub.add_argument("--out", type=arguments.file_to_write, required=True, help="an HTML file")
    sub = command(readme)
    sub.add_argument("--clone", type=reads, default=".", help="folder of the suite (default: .)")
    claims_file = "verdicts beside the rows they are of"
    default = "results/published/claims.csv"
    sub.add_argument("--claims", type=arguments.file, default=default, help=claims_file)

    sub = command(export)
    sub.add_argument("--results", type=reads, required=True, help="e.g. results/paper")
    sub.add_argument("--out", type=arguments.zip_to_write, required=True, help="a .zip to write")
    sub = command(import_, "import")
    sub.add_argument("source", type=arguments.file, help="a .zip written by export")
    sub.add_argument("--published", type=writes, default="results/published")

    command(list_, "list")
    sub = command(plan)
    sub.add_argument("--tier", required=True, type=tier)
    sub.add_argument("--study")
    sub.add_argument("--cells", action="store_true", help="the name of every cell, one a line")
    sub = command(fetch)
    sub.add_argument("--tier", required=True, type=tier)
    sub.add_argument(
        "--study", nargs="+", action="extend", type=study, help="studies (default: all)"
    )
    sub.add_argument("--data-dir", type=reads, help="where to look first, as data_dir in config/")
    return top


def main(given: list[str] | None = None) -> int:
    """Run a command; 2 and one line on standard error where the user can mend something.

    Without a command the help is printed. 130 after Ctrl-C; 141, as from other tools, where the
    reader of a pipe has left.
    """
    words = sys.argv[1:] if given is None else given
    try:
        if not words:
            parser().print_help()
        else:
            args = parser().parse_args(words)
            args.function(args)
        if sys.stdout:
            sys.stdout.flush()
    except UserError as error:
        return _refuse(str(error), 2)
    except BrokenPipeError:
        _silence()
        return 141
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on", 130)
    except OSError as error:  # a full or read-only disk, a folder where a file belongs
        if error.errno is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _silence()
        return _refuse(f"{place}{error.strerror}", 2)
    return 0


def _refuse(line: str, status: int) -> int:
    print(f"paper_repro: {UserError(line)}", file=sys.stderr)
    return status


def _silence() -> None:
    """Keep the interpreter from writing, at its end, what standard output would not take."""
    with suppress(AttributeError, OSError, ValueError):  # standard output is closed or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
