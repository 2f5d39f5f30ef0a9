"""The configuration of a Snakemake run.

`paper_repro/schema/config.schema.yaml` holds every key and default, `config/README.md` documents
them; a mistake stops with one line before any job.
"""

from __future__ import annotations

from typing import Any

from paper_repro import grid
from paper_repro.errors import UserError
from paper_repro.schemas import check_schema, schema


def tier_of(config: dict[str, Any]) -> str:
    """The tier asked for, before its file is read; UserError names the tiers there are."""
    tier = str(config.get("tier", "quick"))
    known = schema("config")["properties"]["tier"]["enum"]
    if tier not in known:
        raise UserError(f"config.tier: {tier!r} is not one of {', '.join(known)}")
    return tier


def check(config: dict[str, Any]) -> None:
    """Check `config` in place and fill in defaults; UserError names the key and what is allowed.

    `studies` becomes a list of study names; ``all`` stands for every study with a grid.
    """
    check_schema(config, schema("config"), "config")
    for key, rule in schema("config")["properties"].items():
        if "default" in rule:
            config.setdefault(key, rule["default"])
    known = grid.study_names()
    wanted = str(config["studies"]).split(",")
    for study in wanted:
        if study not in {"all", *known}:
            raise UserError(f"config.studies: {study!r} is not one of {', '.join(['all', *known])}")
    config["studies"] = [study for study in known if study in wanted or "all" in wanted]
