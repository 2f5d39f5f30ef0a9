"""The configuration of a Snakemake run.

`paper_repro/schema/config.schema.yaml` holds every key and default, `config/README.md` documents
them; a mistake stops with one line before any job.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paper_repro import arguments, grid, guarded, registry
from paper_repro.claims import names as claim_names
from paper_repro.errors import UserError, quoted, unknown
from paper_repro.schemas import check_schema, read_yaml, schema

CONFIG = Path(__file__).parent.parent / "config"
# As Snakemake hands over what is typed behind --config, of which it reads True and False alone.
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def tier_of(config: dict[str, Any], files: Iterable[str | Path] = ()) -> str:
    """The tier asked for, before its file is read by Snakemake; UserError names the tiers.

    That file and `files`, those of --configfile, are read strictly here: Snakemake's own reading
    passes over a key that stands twice. JSON is YAML too.
    """
    check_once(sys.argv[1:])
    for file in files:
        read_yaml(Path(file))
    tier = config.get("tier")
    tier = str("quick" if tier is None else tier)
    known = schema("config")["properties"]["tier"]["enum"]
    if tier not in known:
        raise UserError(unknown("config.tier", tier, known))
    if (own := CONFIG / f"{tier}.yaml").is_file():
        written = read_yaml(own)
        if isinstance(written, dict) and written.get("tier", tier) != tier:
            raise UserError(f"{own}: tier is {quoted(written['tier'])}, its name {tier!r}")
    return tier


def check_once(words: list[str]) -> None:
    """UserError where the command line of Snakemake has --config twice, or a key twice behind it:
    the last alone would be obeyed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-C", nargs="*", action="append", default=[])
    given = parser.parse_known_args(words)[0].config
    if len(given) > 1:
        raise UserError("--config: is given twice; write all keys behind one")
    keys = [word.partition("=")[0] for entries in given for word in entries]
    if twice := [key for i, key in enumerate(keys) if key in keys[:i]]:
        raise UserError(f"--config: {quoted(twice[0])} is given twice")


def check(config: dict[str, Any], *, claims: bool = True) -> None:
    """Check `config` in place and fill in defaults; UserError names the key and what is allowed.

    `studies` becomes a list of study names; ``all`` stands for every study with a grid. To check
    the studies' `claims` takes seconds, which a job need not spend after its workflow.
    """
    rules = schema("config")["properties"]
    for key, value in list(config.items()):
        rule = rules.get(key, {})
        # nothing behind the = is an empty text
        config[key] = "" if value is None and rule.get("default") == "" else _typed(value, rule)
    check_schema(config, schema("config"), "config")
    for key, rule in rules.items():
        if "default" in rule:
            config.setdefault(key, rule["default"])
    known = grid.study_names()
    wanted = [study.strip() for study in str(config["studies"]).split(",")]
    for study in wanted:
        if study not in {"all", *known}:
            raise UserError(unknown("config.studies", study, ["all", *known]))
    config["studies"] = [study for study in known if study in wanted or "all" in wanted]
    if config["tier"] == "published" and config["studies"] != known:
        # claims.csv and the report are those of all studies: fewer would overwrite what is shipped
        raise UserError(
            "config.studies: tier published is made of all studies; "
            f"name one as the target: snakemake {config['studies'][0]} --config tier=published"
        )
    folder = config["data_dir"]
    if folder and not Path(folder).expanduser().is_dir():
        raise UserError(f"config.data_dir: {folder!r} is not a folder")
    if config.get("store"):
        try:
            arguments.folder_to_write(config["store"])
        except argparse.ArgumentTypeError as error:
            raise UserError(f"config.store: {error}") from None
    owners: dict[str, str] = {}
    for study in config["studies"] if claims else ():
        for claim in claim_names.read(registry.STUDIES / study / "claims.yaml", study):
            if (owner := owners.setdefault(claim.id, study)) != study:
                raise UserError(f"{study}/claims.yaml: {claim.id} is a claim of {owner} too")


def check_device(device: str, local: bool) -> None:
    """UserError where jobs of this machine (`local`) are to use a GPU that it does not have.

    A cluster's login node needs none; in a dry run it is known by SLURM's sbatch.
    """
    if device != "cuda" or not local or shutil.which("sbatch"):
        return
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return
    guarded.import_torch()  # 2 s, spent only where the usual sign of a GPU is missing
    import torch

    if not torch.cuda.is_available():
        raise UserError("config.device: 'cuda', but this machine has no CUDA GPU; auto or cpu")


def _typed(value: Any, rule: Mapping[str, Any]) -> Any:
    """A text from the command line as the type it stands for; anything else as it is."""
    kind = rule.get("type")
    if not isinstance(value, str):
        return value
    if kind == "boolean":
        return WORDS.get(value.lower(), value)
    if kind == "integer" and value.isdecimal():
        return int(value)
    return value
