"""Each finding under other defensible rules: which verdicts hang on a choice, or on one seed.

As in a multiverse analysis (Steegen et al. 2016, "Increasing transparency through a multiverse
analysis") every verdict is given again by rules that might as well have been chosen: other levels,
no correction for many claims, margins half and twice as wide, every seed left out in turn, the sign
test for the t test (from six seeds on), and the first seeds alone. Facts have no such choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from paper_repro import atomic
from paper_repro.claims.borders import CONTRADICTED, SUPPORTED
from paper_repro.claims.check import FINDING
from paper_repro.claims.evidence import Evidence
from paper_repro.claims.judge import Collected, Judged, Rules, judge
from paper_repro.results import overwriting
from paper_repro.results.files import csv_text

COLUMNS = ("study", "claim", "rule", "verdict", "agrees")
OTHERS = {
    "alpha 0.01": Rules(alpha=0.01),
    "alpha 0.1": Rules(alpha=0.1),
    "without Holm": Rules(holm=False),
    "margins halved": Rules(margins=0.5),
    "margins doubled": Rules(margins=2.0),
    "sign test": Rules(test="sign"),
}
STATED, HELD = "as stated", "first held"
FEWEST_OF_SIGN_TEST = 6  # seeds below which it decides nothing at 5 %


def table(study: str, claims: Collected) -> pd.DataFrame:
    """One row per finding and rule: the verdict by it and whether that is the verdict; of the rule
    HELD the verdict column holds the number of seeds from which on it held."""
    main = {one.claim.id: one for one in judge(claims)}
    rows = [(study, n, STATED, o.decision.verdict, "yes") for n, o in main.items() if _seeds(o)]
    rows += [
        (study, name, rule, verdict, "yes" if verdict == main[name].decision.verdict else "no")
        for rule, found in _variants(claims, main)
        for name, verdict in found.items()
    ]
    rows += [(study, name, HELD, n, "") for name, n in _first_held(claims, main)]
    order = {one.claim.id: i for i, one in enumerate(main.values())}
    rows.sort(key=lambda row: order[row[1]])
    return pd.DataFrame(rows, columns=COLUMNS)


def _variants(
    claims: Collected, main: Mapping[str, Judged]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Verdicts of the findings that ran, by rule."""
    ran = [name for name, one in main.items() if _seeds(one)]
    for rule, rules in OTHERS.items():
        found = _verdicts(judge(claims, rules))
        fewest = FEWEST_OF_SIGN_TEST if rules.test == "sign" else 0
        yield rule, {n: found[n] for n in ran if len(_seeds(main[n])) >= fewest}
    for seed in sorted({seed for name in ran for seed in _seeds(main[name])}):
        found = _verdicts(judge(_with(claims, partial(_without, seed))))
        yield f"without seed {seed}", {n: found[n] for n in ran if seed in _seeds(main[n])}


def _first_held(claims: Collected, main: Mapping[str, Judged]) -> Iterator[tuple[str, str]]:
    """From how many seeds on, taken in order, each decided finding has had its verdict."""
    decided = {
        name: one
        for name, one in main.items()
        if _seeds(one) and one.decision.verdict in (SUPPORTED, CONTRADICTED)
    }
    most = max((len(_seeds(one)) for one in decided.values()), default=0)
    found = {n: _verdicts(judge(_with(claims, partial(_leading, n)))) for n in range(2, most + 1)}
    for name, one in decided.items():
        held = len(_seeds(one))
        while held > 2 and found[held - 1][name] == one.decision.verdict:
            held -= 1
        yield name, str(held)


def _without(seed: int, seeds: set[int]) -> set[int]:
    return seeds - {seed}


def _leading(n: int, seeds: set[int]) -> set[int]:
    return set(sorted(seeds)[:n])


def _with(claims: Collected, choose: Callable[[set[int]], set[int]]) -> Collected:
    """The claims with some of the seeds of each check."""

    def less(one: Evidence) -> Evidence:
        kept = choose(set(one.table["seed"]))
        return replace(one, table=one.table[one.table["seed"].isin(kept)])

    return [(claim, tier, tuple(map(less, evidence))) for claim, tier, evidence in claims]


def _verdicts(judged: list[Judged]) -> dict[str, str]:
    return {one.claim.id: one.decision.verdict for one in judged}


def _seeds(one: Judged) -> set[int]:
    """Seeds with a number in any finding that decides the claim."""
    return {
        int(seed)
        for found in one.evidence
        if found.check.role == "decides" and found.check.kind == FINDING
        for seed in found.table.loc[found.table["low"].notna(), "seed"]
    }


def write(rows: pd.DataFrame, out: Path) -> None:
    """Write `table`'s rows to the CSV file `out`. UserError if that holds something else."""
    overwriting.check_csv(out, COLUMNS)
    atomic.write_text(out, csv_text(COLUMNS, rows.to_numpy(str).tolist()))
