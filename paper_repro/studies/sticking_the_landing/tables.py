"""Tables of the study: Table 1 of Roeder, Wu & Duvenaud (NIPS 2017), and what the toys measured.

Numbers are means over seeds with the half width of their 95 % t interval. Differences are paired:
the two estimators share initial weights, data order and evaluation noise within a seed.
"""

from __future__ import annotations

import itertools

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.claims.selection import COMMON
from paper_repro.drawing.study_rows import reported_numbers
from paper_repro.drawing.tables import NONE, Entry, Table, Tables, estimate
from paper_repro.results.frames import Results

STUDY = "sticking_the_landing"
# The schedule of Burda et al. (2016): 8 stages of 3^i epochs, 3,280 in all, in minibatches of 20.
FULL_STAGES, FULL_STEPS = 8, 8_000_000
ROWS = [(layers, k) for layers in (1, 2) for k in (1, 5, 50)]
MODELS = {"VAE": "elbo", "IWAE": "iwae"}


def table1(results: Results) -> Table:
    """Test NLL in the paper's layout, with the paired difference and Burda et al.'s numbers."""
    frame = pick(results.finals(STUDY, "table1", "nll"), split="test", binarisation="fixed")
    lost = results.unfinished(STUDY, "table1")
    datasets = sorted({*frame["dataset"], *lost.get("dataset", [])}) or ["mnist", "omniglot"]
    burda = reported_numbers(STUDY, by="burda2016")
    columns = ["layers", "k"]
    rows: list[list[Entry]] = [[str(layers), str(k)] for layers, k in ROWS]
    for dataset, (model, objective) in itertools.product(datasets, MODELS.items()):
        names = ["total", "path", "path - total"]
        names += ["total, Burda et al."] if dataset in set(burda["dataset"]) else []
        columns += [f"{dataset} {model} {name}" for name in names]
        for (layers, k), row in zip(ROWS, rows, strict=True):
            key = {"dataset": dataset, "layers": layers, "objective": objective, "k": k}
            if model == "IWAE" and k == 1:  # with one sample the two bounds are the same
                row += ["= VAE"] * len(names)
                continue
            row += _compared(pick(frame, **key), pick(lost, **key))
            if len(names) == 4:
                row.append(_burda(pick(burda, **key), pick(frame, **key)))
    marked = any(str(entry).endswith("†") for row in rows for entry in row)
    return Table(columns, rows, _notes(frame, marked))


def _compared(frame: pd.DataFrame, lost: pd.DataFrame) -> list[Entry]:
    """Total, path, and their difference over the seeds that have both."""
    sides = _sides(frame)
    entries = [
        estimate(values, list(pick(lost, estimator=name)["status"]))
        for name, values in sides.items()
    ]
    return [*entries, estimate((sides["path"] - sides["total"]).dropna())]


def _burda(reported: pd.DataFrame, ours: pd.DataFrame) -> Entry:
    """The published number, marked † where ours does not compare with it."""
    if reported.empty:
        return NONE
    comparable = (
        len(ours) > 0 and bool(_full(ours).all()) and not (reported["dataset"] == "omniglot").any()
    )
    return f"{reported['value'].iloc[0]:.2f}" + ("" if comparable else " †")


def _notes(frame: pd.DataFrame, marked: bool) -> list[str]:
    notes = [
        "Test NLL in nats/image by importance sampling on one fixed binarisation of the test "
        "images; mean ± half width of the 95 % t interval over seeds. The path column of the "
        "paper's own table is not known to us."
    ]
    if marked:
        notes.append(
            "† does not compare with ours: Burda et al. trained 3,280 epochs, and their Omniglot "
            "file is another one than torchvision's (their Omniglot numbers are from memory)."
        )
    if len(frame):
        for names, group in frame.groupby(["dataset", "tier", "steps", "lr.stages"]):
            dataset, tier, steps, stages = map(str, names)
            whole = "full" if _full(group).all() else "reduced"
            notes.append(
                f"Ours, {dataset}: tier {tier}, {int(steps):,} steps, {float(stages):g} of 8 "
                f"stages ({whole} schedule), n = {group['seed'].nunique()} seeds at most."
            )
    return notes


def _full(frame: pd.DataFrame) -> pd.Series:
    """Which rows were trained by the whole schedule."""
    return (frame["lr.stages"] >= FULL_STAGES) & (frame["steps"] >= FULL_STEPS)


def exactness(results: Results) -> Table:
    """Everything that theory gives exactly, as measured."""
    frame = results.finals(STUDY, "exactness")
    rows: list[list[Entry]] = []
    for names, group in frame.groupby(["metric", "estimator", "at", "unit"], sort=False):
        metric, estimator, at, unit = map(str, names)
        where = at.replace(",", ", ") or NONE
        rows.append([metric, estimator or NONE, where, estimate(group["value"]), unit])
    return Table(["metric", "estimator", "at", "measured", "unit"], rows)


def control_variate(results: Results) -> Table:
    """Figure 1's fit under every estimator and weight of the score term."""
    frame = results.finals(STUDY, "gaussian_fit", "kl_last100")
    lost = results.unfinished(STUDY, "gaussian_fit")
    rows: list[list[Entry]] = []
    for cell in dict.fromkeys([*frame["cell"], *lost["cell"]]):
        mine, gone = pick(frame, cell=cell), pick(lost, cell=cell)
        setting = (mine if len(mine) else gone).iloc[0]
        score = setting["score"] or NONE
        weight = f"c = {setting['c']:g}" if score == "fixed" else score
        measured = estimate(mine["value"], list(gone["status"]))
        rows.append([setting["optimizer"], setting["cell_estimator"], weight, measured])
    notes = ["Gradient = total + c · score: c = 0 is the total, c = 1 the path derivative."]
    columns = ["optimizer", "estimator", "weight of the score", "KL over the last 100 steps (nats)"]
    return Table(columns, rows, notes)


def gradient_variance(results: Results) -> Table:
    """Trace of the gradient covariance along the straight path to the truth."""
    frame = results.finals(STUDY, "path_to_truth", "gradient_variance_trace")
    rows: list[list[Entry]] = []
    for a, group in frame.groupby("a") if len(frame) else ():
        total, path = _sides(group).values()
        ratio = estimate((path / total).dropna())
        rows.append([f"{float(str(a)):g}", estimate(total), estimate(path), ratio])
    fisher = results.finals(STUDY, "path_to_truth", "fisher_trace")
    notes = ["Traces in nats². a = 0 is the start, a = 1 the true posterior; seeds are Gaussians."]
    if len(fisher):
        notes.append(f"Trace of the Fisher information at a = 1: {estimate(fisher['value'])}.")
    return Table(["a", "total", "path", "path / total"], rows, notes)


def costs(results: Results) -> Table:
    """What the runs cost, per experiment and device."""
    frame = results.costs[(results.costs["study"] == STUDY) & (results.costs["runs"] > 0)]
    rows: list[list[Entry]] = []
    keys = ["experiment", "tier", "device_name"]
    for names, group in frame.groupby(keys, sort=False):
        rows.append(
            [
                *map(str, names),
                f"{group['runs'].sum():g}",
                f"{group['seconds'].sum() / group['runs'].sum():.3g}",
                f"{group['seconds'].sum():.4g}",
                f"{speed:.4g}" if (speed := group["steps_per_second"].mean()) else NONE,
                f"{group['peak_memory_mib'].max():.4g}",
                f"{group['flops'].sum():.3g}" if (group["flops"] > 0).all() else NONE,
            ]
        )
    measured = ["runs", "s / run", "s", "steps / s", "peak MiB", "FLOPs"]
    notes = ["FLOPs of the training steps' matrix products, counted for runs of a minute or more."]
    return Table(["experiment", "tier", "device", *measured], rows, notes)


def _sides(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Values of total and path, indexed by what two runs must share to be a pair."""
    return {
        name: pick(frame, estimator=name).set_index(COMMON)["value"] for name in ("total", "path")
    }


TABLES: Tables = {
    "table1": table1,
    "exactness": exactness,
    "control_variate": control_variate,
    "gradient_variance": gradient_variance,
    "costs": costs,
}
