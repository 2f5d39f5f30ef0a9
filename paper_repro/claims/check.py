"""What a claims.yaml says: claims, and their checks with every default written out.

A claim holds keys of checks as defaults: `select` and `versus` of a check are merged over the
claim's (null removes a key), any other key takes its place. `each` makes several checks of one: by
the values of a column (``each: {kappa: [0.06, 0.08]}``) or by name (``each: {small: {select:
{...}}, large: {...}}``). Imports neither torch nor pandas: the workflow reads claims, and a run
their hashes, before anything trains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from paper_repro.errors import UserError
from paper_repro.schemas import check_schema, read_yaml, schema

FACT, FINDING = "fact", "finding"
PROSE = ("statement", "source", "by", "figure")
MERGED = ("select", "versus")
Filters = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One question to the rows, and the rule that answers it.

    `units` are columns whose values the plan knows, or columns with their values; `of` is how many
    units there must be or, of a fact, how many values every planned run has, at all tiers or by
    tier. `why` says why the margin matters. CONTRIBUTING.md ("Add a claim") has the other keys.
    """

    study: str
    claim: str
    name: str
    kind: str
    select: Filters
    rule: Mapping[str, Any]
    statistic: str = "every"
    versus: Filters | None = None
    pairing: str = ""
    units: tuple[str, ...] | Mapping[str, tuple[Any, ...]] = ()
    of: int | Mapping[str, int] | None = None
    why: str = ""
    error: str = ""
    span: str = ""
    tuned: Mapping[str, Any] | None = None
    settled: Mapping[str, Any] | None = None
    sample: str = ""
    precondition: bool = False
    decides: bool = True
    beyond_tiers: bool = False

    @property
    def where(self) -> str:
        """The place in claims.yaml, as messages name it."""
        return f"{self.study}/claims.yaml: {self.claim}.{self.name}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell units apart."""
        return tuple(self.units)

    @property
    def role(self) -> str:
        """Whether it decides its claim, is a precondition of it, or stands beside."""
        if self.precondition:
            return "precondition"
        return "decides" if self.decides else "beside"

    @property
    def other(self) -> dict[str, Any]:
        """The filters of the other side of a pair, of our own rows."""
        return merged(self.select, self.versus or {})

    def of_at(self, tier: str) -> int | None:
        """`of` at a tier; None where it is not said."""
        return self.of.get(tier) if isinstance(self.of, Mapping) else self.of

    def but(self, **changes: Any) -> Check:
        """A changed copy; `select` is merged over its own, where None removes a key."""
        if "select" in changes:
            changes["select"] = merged(self.select, changes["select"])
        return replace(self, **changes)


@dataclass(frozen=True)
class Claim:
    """A statement and the checks that judge it."""

    study: str
    id: str
    statement: str
    source: str
    by: str
    figure: str
    checks: tuple[Check, ...] = field(default=())

    @property
    def required(self) -> tuple[Check, ...]:
        """The checks that decide it, all of which must hold."""
        return tuple(check for check in self.checks if check.role == "decides")

    @property
    def findings(self) -> int:
        """How many findings decide it."""
        return sum(check.kind == FINDING for check in self.required)

    @property
    def kind(self) -> str:
        """A fact only if all that decides it is one."""
        return FACT if all(check.kind == FACT for check in self.required) else FINDING


def read(path: Path, study: str) -> list[Claim]:
    """The claims of a claims.yaml. UserError for the first mistake in its form; what its names mean
    is checked by `names.read`."""
    return [claim_of(written, study) for written in document(path, study)["claims"]]


def document(path: Path, study: str) -> dict[str, Any]:
    """The mapping in a claims.yaml that follows the schema; UserError if it does not."""
    where = f"{study}/claims.yaml"
    if not path.is_file():
        raise UserError(f"{path}: missing; every study needs claims.yaml")
    claims = read_yaml(path)
    check_schema(claims, schema("claims"), where)
    if claims["study"] != study:
        raise UserError(f"{where}: study is {claims['study']!r}, its folder {study!r}")
    return claims


def family_size(claims: list[Claim]) -> int:
    """The size m of a study's family (Holm 1979): claims that rest on a finding, run or not."""
    return sum(claim.kind == FINDING for claim in claims)


def expanded(claim: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The checks of a claim as claims.yaml has it, with its defaults and `each` written out."""
    defaults = {key: value for key, value in claim.items() if key not in (*PROSE, "id", "checks")}
    for check in claim["checks"]:
        own = {key: value for key, value in check.items() if key != "each"}
        for suffix, change in _each(check.get("each")):
            found = _over(_over(defaults, own), change)
            yield {**found, "name": own["name"] + suffix}


def merged(below: Filters, above: Filters) -> dict[str, Any]:
    """Filters of which None removes one."""
    return {name: value for name, value in {**below, **above}.items() if value is not None}


def _each(each: Mapping[str, Any] | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if each is None:
        yield "", {}
        return
    for name, what in each.items():
        if isinstance(what, Mapping):
            yield f"_{name}", dict(what)
        else:
            for value in what:
                yield f"_{value}", {"select": {name: value}}


def _check_nulls(claim: Mapping[str, Any], where: str) -> None:
    """UserError for a null that removes nothing: a slip in the name would keep the filter."""
    for check in claim["checks"]:
        place = f"{where}: {claim['id']}.{check['name']}"
        changes = [change for _, change in _each(check.get("each"))]
        known = claim.get("select", {}).keys()
        _refuse_nulls(check.get("select", {}), known, f"{place}: select")
        known = known | check.get("select", {}).keys()
        for change in changes:
            _refuse_nulls(change.get("select", {}), known, f"{place}: select")


def _refuse_nulls(filters: Filters, known: Collection[str], where: str) -> None:
    for name, value in filters.items():
        if value is None and name not in known:
            raise UserError(f"{where}.{name}: null removes nothing there")


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: {**below[key], **above[key]} for key in MERGED if key in below and key in above}
    return {**below, **above, **both}


def claim_of(claim: Mapping[str, Any], study: str) -> Claim:
    """A claim of a study, as `document` has it."""
    where = f"{study}/claims.yaml"
    _check_nulls(claim, where)
    prose = {key: " ".join(str(claim[key]).split()) for key in PROSE}
    for key, text in prose.items():
        if not text and key != "figure":
            raise UserError(f"{where}: {claim['id']}: {key} says nothing")
    checks = tuple(_check(one, study, claim["id"], where) for one in expanded(claim))
    names = [check.name for check in checks]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: {claim['id']}: check {name} is there twice")
    return Claim(study, claim["id"], **prose, checks=checks)


def _check(one: Mapping[str, Any], study: str, claim: str, where: str) -> Check:
    place = f"{where}: {claim}.{one['name']}"
    for key in ("kind", "select", "rule"):
        if key not in one:
            raise UserError(f"{place}: {key} is missing, here and at its claim")
    select = merged(one["select"], {})
    for key in ("experiment", "metric"):
        if key not in select:
            raise UserError(f"{place}: select.{key} is missing, here and at its claim")
    units = one.get("units", ())
    held = {key: value for key, value in one.items() if key not in ("select", "units")}
    if isinstance(units, Mapping):
        units = {column: tuple(values) for column, values in units.items()}
    else:
        units = tuple(units)
    return Check(study, claim, select=select, units=units, **held)
