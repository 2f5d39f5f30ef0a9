"""Which parts of a cell go together, from what each declares of itself by literals.

A part names what it can serve: SUPPORTS (kinds of posterior), OBJECTIVES, LIKELIHOODS, PRIORS,
MODELS (decoders) and PREPROCESSING (a Bernoulli likelihood is a density of binary pixels alone),
SIDES (a rule for the sides of an image), MIN_SAMPLES. A task REFUSES combinations of its parameters
and says why, lists in PAIRED those whose lists belong together, entry by entry, in AT_MOST those
that do not exceed another one, and in BELOW_PIXELS those whose numbers stay so far below the number
of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from paper_repro import registry
from paper_repro.cell import DATA, Cell
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError, unknown
from paper_repro.parameters import NESTED, check_options
from paper_repro.schemas import check_schema, holds


def components(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The registry's components that a cell names, as (room, name): estimators, objective, latent,
    likelihood and networks, those inside an estimator's options included."""
    options = params.get("estimator_options") or {}
    named = {
        "estimators": [
            params["estimator"],
            *params["compare"],
            *(value for key, value in options.items() if key in NESTED),
        ],
        "objectives": [params["objective"]],
        "likelihoods": [params["likelihood"]],
        "latents": [params.get("latent", "")],
        "models": [params["model"], params.get("decoder", ""), params.get("guide", "")],
        **_of_a_vae(params),
    }
    return [
        (room, name)
        for room, found in named.items()
        for name in found
        if name and isinstance(name, str)
    ]


def _of_a_vae(params: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a cell of task vae names besides: its protocol, the module that puts its networks
    together, and the optional parts that one of its parameters is set for."""
    if "protocol" not in params:
        return {}
    model = params["model"]
    known = model in registry.names("models")
    made = registry.constant("models", model, "NETWORKS") if known else ""
    parts = {name: registry.constant("parts", name, "NAMED_BY") for name in registry.names("parts")}
    return {
        "protocols": [params["protocol"]],
        "vaes": [made or "model"],
        "parts": [name for name, keys in parts.items() if any(params.get(key) for key in keys)],
    }


def check_parts(cell: Cell, where: str) -> None:
    """Refuse parts, options and data that do not fit together: UserError naming what is allowed."""
    params, chosen = cell.params, components(cell.params)
    allowed_names = [(key, params[key], list(DATASETS)) for key in DATA if key in params]
    allowed_names += [(room[:-1], name, registry.names(room)) for room, name in chosen]
    for part, name, known in allowed_names:
        if name and name not in known:
            raise UserError(unknown(f"{where}: {part}", name, known))
    _check_served(cell, chosen, where)
    check_options(params, where)
    _check_refused(cell, where)
    _check_data(cell, chosen, where)


def family(objective: str) -> str:
    """The kind of estimate an objective asks of a gradient estimator: its literal LIKE
    (``elbo``: an expectation, ``iwae``: the log of a mean), by default its own name."""
    return str(registry.constant("objectives", objective, "LIKE") or objective)


def posterior_kind(cell: Cell) -> str:
    """Kind of posterior the cell's task builds: its literal POSTERIOR, a name or ``{param: {value:
    name}}`` where parameters decide, or several of these, of which the first that applies."""
    kind = registry.constant("tasks", cell.task, "POSTERIOR", cell.study) or ""
    for rule in kind if isinstance(kind, tuple) else (kind,):
        if not isinstance(rule, dict):
            return str(rule)
        ((param, kinds),) = rule.items()
        if cell.params[param] in kinds:
            return str(kinds[cell.params[param]])
    return ""


def _check_served(cell: Cell, chosen: list[tuple[str, str]], where: str) -> None:
    """Every part must serve the others."""
    params, objective = cell.params, cell.params["objective"]
    served = {
        "SUPPORTS": ("posterior", posterior_kind(cell)),
        "OBJECTIVES": ("objective", objective and family(objective)),
        "LIKELIHOODS": ("likelihood", params["likelihood"]),
        "PRIORS": ("prior", params.get("prior", "")),
        "MODELS": ("decoder", params.get("decoder") or params["model"]),
        "PREPROCESSING": ("preprocessing", params.get("preprocessing", "")),
        "PROTOCOLS": ("protocol", params.get("protocol", "")),
    }
    guided = params.get("guide") and (params.get("estimator_options") or {}).get("first")
    for room, name in chosen:
        part = room[:-1]
        # beside a guide the first of two estimators sees the guide, not the decoder
        own = {"MODELS": ("decoder", params["guide"])} if name == guided else {}
        for key, (other, value) in {**served, **own}.items():
            allowed = registry.constant(room, name, key)
            if allowed and value and value not in allowed:
                raise UserError(
                    f"{where}: {part} {name!r} cannot serve {other} {value!r}; "
                    f"it serves {', '.join(allowed)}"
                )
    samples = params.get("k", params.get("samples"))
    for room, name in chosen:
        least = registry.constant(room, name, "MIN_SAMPLES") or 1
        if name not in params["compare"] and isinstance(samples, int) and samples < least:
            raise UserError(f"{where}: estimator {name!r} needs {least} samples, not {samples}")


def _check_refused(cell: Cell, where: str) -> None:
    """What the task itself rules out among its parameters."""
    params = dict(cell.params)

    def literal(name: str) -> Any:
        return registry.constant("tasks", cell.task, name, cell.study) or ()

    for rules, why in literal("REFUSES"):
        if all(holds(params[name], rule) for name, rule in rules.items()):
            raise UserError(f"{where}: {why}")
    for name, most in literal("AT_MOST"):
        if params[name] > params[most]:
            raise UserError(f"{where}: {name}: {params[name]} exceeds {most}, {params[most]}")
    for first, second in literal("PAIRED"):
        lengths = len(params[first]), len(params[second])
        if lengths[0] != lengths[1]:
            raise UserError(
                f"{where}: {second}: {lengths[1]} entries for {lengths[0]} of {first}; "
                "one each is needed"
            )


def _check_data(cell: Cell, chosen: list[tuple[str, str]], where: str) -> None:
    """The data set's kind, size and shape must suit the other parameters."""
    params = cell.params
    if not params["dataset"]:
        return
    name = params["dataset"]
    shape, counts = DATASETS[name]["shape"], DATASETS[name]["counts"]
    vectors = shape[:2] == [1, 1]
    if "preprocessing" in params and vectors != (params["preprocessing"] == "none"):
        kind, takes = ("vectors", "'none' alone") if vectors else ("images", "not 'none'")
        raise UserError(
            f"{where}: preprocessing: {params['preprocessing']!r}, but {name} holds {kind}, "
            f"which take {takes}"
        )
    if counts and params.get("batch_size", 0) > counts[0]:
        raise UserError(
            f"{where}: batch_size: {params['batch_size']} exceeds the {counts[0]} training images "
            f"of {name}"
        )
    for room, part in chosen:
        if (rule := registry.constant(room, part, "SIDES")) and part != params.get("guide"):
            for side in shape[1:]:
                check_schema(side, rule, f"{where}: {room[:-1]} {part!r}: a side of {name}")
    below = registry.constant("tasks", cell.task, "BELOW_PIXELS", cell.study) or {}
    for parameter, least in below.items():
        if max(params[parameter]) > (most := math.prod(shape) - least):
            raise UserError(f"{where}: {parameter}: {max(params[parameter])}, at most {most}")
    if outliers := params.get("outliers"):
        if outliers == name:
            raise UserError(f"{where}: outliers: {outliers!r} is the data set itself")
        if DATASETS[outliers]["shape"] != shape:
            raise UserError(
                f"{where}: outliers: {outliers} is of shape {DATASETS[outliers]['shape']}, "
                f"{name} of {shape}"
            )
