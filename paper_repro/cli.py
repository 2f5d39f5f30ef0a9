"""The command line: what the workflow's rules call, and what a user may call by hand.

Imports stand inside the commands: drawing never loads torch, training never loads matplotlib.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from paper_repro import grid
from paper_repro.errors import UserError

Command = Callable[[argparse.Namespace], None]


def train(args: argparse.Namespace) -> None:
    """Train all seeds of one or more cells, in order; finished runs come from the run store."""
    if args.out and len(args.cell) > 1:
        raise UserError("--out: is the folder of one cell, but several are named")
    cells = grid.find(args.study, args.tier, args.cell, args.seeds)
    from paper_repro.training.run import train_cell

    for cell in cells:
        with _naming(cell.id):
            train_cell(
                cell if args.seed is None else replace(cell, seeds=(args.seed,)),
                args.store,
                args.out,
                device=args.device,
                threads=args.threads,
                sources=grid.sources(cell),
                data_dir=args.data_dir,
                download=not args.no_download,
                log=args.log,
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
    from paper_repro.analysis.collect import collect as gather

    gather(grid.expand(args.study, args.tier, args.seeds), args.runs, args.out, args.tier)


def merge(args: argparse.Namespace) -> None:
    """Join the collected tables of several studies into those of the suite."""
    from paper_repro.analysis.collect import merge as join_studies

    join_studies(args.roots, args.out)


def figures(args: argparse.Namespace) -> None:
    """Draw a study's figures from its collected rows."""
    from paper_repro.analysis.draw import draw_study

    draw_study(_study(args.study), args.results, args.out)


def manifest(args: argparse.Namespace) -> None:
    """List the figures of a tier with their SHA-256."""
    from paper_repro.analysis.draw import write_manifest

    write_manifest(args.figures, args.out)


def tables(args: argparse.Namespace) -> None:
    """Render a study's tables as CSV, Markdown and LaTeX."""
    from paper_repro.analysis.tables import render_study

    render_study(_study(args.study), args.results, args.out)


def claims(args: argparse.Namespace) -> None:
    """Give every claim of a study its verdict."""
    from paper_repro.analysis.verdicts import judge_study

    judge_study(_study(args.study), args.results, args.out)


def join(args: argparse.Namespace) -> None:
    """Concatenate CSV files that have the same columns."""
    from paper_repro.analysis.collect import concatenate

    concatenate(args.files, args.out)


def report(args: argparse.Namespace) -> None:
    """Write the report, one HTML page that opens offline."""
    from paper_repro.report.page import build

    build(args.results, args.figures, args.out)


def readme(args: argparse.Namespace) -> None:
    """Write the published verdicts into README.md."""
    from paper_repro.report.readme import update

    update(args.readme, args.claims)


def export(args: argparse.Namespace) -> None:
    """Pack the rows, curves and arrays of a tier to carry them to another machine."""
    from paper_repro.analysis.published import export_results

    export_results(args.results, args.out)


def import_(args: argparse.Namespace) -> None:
    """Merge exported rows into the published ones; a higher tier replaces a lower one."""
    from paper_repro.analysis.published import import_results

    for line in import_results(args.source, args.published):
        print(line)


def list_(args: argparse.Namespace) -> None:
    """Print estimators, objectives, latents, likelihoods, models, data sets and studies."""
    from paper_repro.catalogue import lines

    print("\n".join(lines()))


def plan(args: argparse.Namespace) -> None:
    """Print the cells of a tier with their runs and steps, before anything trains."""
    from paper_repro.catalogue import plan_lines

    print("\n".join(plan_lines(args.study, args.tier)))


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = argparse.ArgumentParser(prog="python -m paper_repro", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")

    def command(function: Command, name: str = "", **paths: str) -> argparse.ArgumentParser:
        """A command named after its function; `paths` are required options and their help."""
        name = name or function.__name__
        sub = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        sub.set_defaults(function=function)
        for option, text in paths.items():
            sub.add_argument(f"--{option}", type=Path, required=True, help=text)
        return sub

    def of_grid(sub: argparse.ArgumentParser) -> argparse.ArgumentParser:
        sub.add_argument("--tier", required=True)
        sub.add_argument("--study", required=True)
        sub.add_argument("--seeds", type=_seeds, help="at most this many; 0: as the grid says")
        return sub

    sub = of_grid(command(train))
    sub.add_argument("--cell", required=True, nargs="+")
    sub.add_argument("--seed", type=int, help="this seed alone")
    sub.add_argument("--out", type=Path, help="folder of the cell; default as the workflow has it")
    sub.add_argument("--store", type=Path, default=Path("runs"), help="run store (default: runs)")
    sub.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    sub.add_argument("--threads", type=int, default=1)
    sub.add_argument("--data-dir", type=Path)
    sub.add_argument("--no-download", action="store_true")
    sub.add_argument("--log", type=Path, help="file for the progress lines")

    of_grid(command(collect, runs="results/<tier>/runs", out="folder for the tables"))
    sub = command(merge, out="folder for the tables")
    sub.add_argument("roots", type=Path, nargs="+")
    sub = command(join, out="CSV file to write")
    sub.add_argument("files", type=Path, nargs="+")

    for function in (figures, tables, claims):
        sub = command(function, results="folder of the tables", out="where to write")
        sub.add_argument("--study", required=True)
    command(manifest, figures="figures/<tier>", out="JSON file to write")
    command(report, results="results/<tier>", figures="figures/<tier>", out="HTML file to write")
    sub = command(readme)
    sub.add_argument("--readme", type=Path, default=Path("README.md"))
    sub.add_argument("--claims", type=Path, default=Path("results/published/claims.csv"))

    command(export, results="e.g. results/paper", out="a .zip to write")
    sub = command(import_, "import")
    sub.add_argument("source", type=Path, help="a .zip written by export")
    sub.add_argument("--published", type=Path, default=Path("results/published"))

    command(list_, "list")
    sub = command(plan)
    sub.add_argument("--tier", required=True)
    sub.add_argument("--study")
    return top


def _study(name: str) -> str:
    """The name of a study that there is; UserError with those that there are."""
    if name not in (known := grid.study_names()):
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"study: {name!r} is not one of {', '.join(known)}{hint}")
    return name


def _seeds(text: str) -> int | None:
    return int(text) or None


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 2 and one line on standard error where the user can mend something."""
    args = parser().parse_args(arguments)
    try:
        args.function(args)
    except UserError as error:
        print(f"paper_repro: {error}", file=sys.stderr)
        return 2
    return 0
