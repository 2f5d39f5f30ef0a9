"""YAML is read strictly: what could be read in two ways is refused with its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from paper_repro import config, grid, registry, strict_yaml
from paper_repro.errors import UserError
from paper_repro.schemas import read_yaml

LAUGHS = "".join(
    f"{name}: &{name} [{', '.join([value] * 10)}]\n"
    for name, value in zip("abcdef", ["x", "*a", "*b", "*c", "*d", "*e"], strict=True)
)
REFUSED = [
    ("a: 1\nb: 2\na: 3", "line 3, column 1: key 'a' is there twice; see line 1"),
    ("x:\n  b: 1\n  b: 2", "line 3, column 3: key 'b' is there twice; see line 2"),
    ("x: [{b: 1, b: 2}]", "line 1, column 12: key 'b' is there twice"),
    ("a: &m {b: 1}\nc: {<<: *m, <<: *m}", "line 2, column 13: key '<<' is there twice"),
    ("2024: x", "line 1, column 1: the key '2024' is no text"),
    ("true: x", "line 1, column 1: the key 'true' is no text"),
    ("~: x", "line 1, column 1: the key '~' is no text"),
    ("[1]: x", "line 1, column 1: the key a list or mapping is no text"),
    ("a:\n\tb: 1", "line 2, column 1: a tab; indent by spaces"),
    ("a: [1, 2", "line 2, column 1: a list that is not closed by ]"),
    ("a: {b: 1", "line 2, column 1: a mapping that is not closed by }"),
    ("a: b: c", "line 1, column 5: a colon that cannot stand here"),
    ("a: 'x", "line 1, column 6: "),
    ("a: 1\n---\nb: 2", "line 2, column 1: a second document"),
    ("", "is empty"),
    ("# nothing", "is empty"),
    ("- a", "line 1, column 1: expected a mapping"),
    ("just words", "line 1, column 1: expected a mapping"),
    ("a: &x [*x]", "line 1, column 4: an alias of something that contains it"),
    (LAUGHS, "more than 200,000 values"),
    ("a: " + "[" * 500 + "]" * 500, "more than 40 levels"),
    ("a: !!python/object/apply:os.system [x]", "tag !!python/object/apply:os.system has no"),
    ("a: !!set {x}", "tag !!set has no meaning here"),
    ("a: !mine 3", "tag !mine has no meaning here"),
    ("a: 010", "line 1, column 4: 010 reads in two ways"),
    ("a: 0o7", "0o7 reads in two ways"),
    ("a: 0x1F", "0x1F reads in two ways"),
    ("a: .nan", ".nan is not a finite number"),
    ("a: -.inf", "-.inf is not a finite number"),
    ("a: 1e400", "1e400 is not a finite number"),
    ("a: " + "9" * 5000, "a whole number of 5000 digits"),
    ("a: *x", "line 1, column 4: found undefined alias"),
    ("a: x\0", "line 1, column 5: a control character"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_reads_in_two_ways_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        strict_yaml.parse(text, "grid.yaml")
    assert str(caught.value).startswith(f"grid.yaml: {message}" if "line" in message else "grid")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("yes", "yes"),
        ("off", "off"),
        ("'010'", "010"),
        ("true", True),
        ("~", None),
    ],
)
def test_words_and_numbers_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = strict_yaml.parse(f"on: {text}", "f")
    assert found == {"on": value}
    assert type(found["on"]) is type(value)


def test_merging_and_overriding_a_merged_key_still_work() -> None:
    text = "base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  b: 3\nboth: {<<: [*base]}\n"
    found = strict_yaml.parse(text, "f")
    assert found["own"] == {"a": 1, "b": 3}
    assert found["both"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: caf\xe9".encode("latin-1"), "line 1, column 7: is not UTF-8"),
        ("a: 1\nb: \xe9".encode("latin-1"), "line 2, column 4: is not UTF-8"),
        ("a: 1".encode("utf-16"), "line 1, column 1: is not UTF-8"),
        (b"a: 1\n" + b"# far too long\n" * 200_000, "has more than 2,000,000 bytes"),
    ],
)
def test_bytes_that_are_no_text_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_yaml(tmp_path / "f.yaml")
    assert str(caught.value) == f"{tmp_path / 'f.yaml'}: {message}" + "; save it as such" * (
        "UTF" in message
    )


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(tmp_path / "f.yaml") == {"a": 1}


@pytest.mark.parametrize("name", ["nothing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path / name)


def test_an_experiment_written_twice_is_refused_by_its_study(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (registry.STUDIES / "conformance" / "grid.yaml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("  estimators:"))
    folder = tmp_path / "studies" / "conformance"
    folder.mkdir(parents=True)
    (folder / "grid.yaml").write_text(f"{text}\n{line}\n    task: conformance\n")
    monkeypatch.setattr(registry, "STUDIES", tmp_path / "studies")
    monkeypatch.setattr("paper_repro.schemas.PACKAGE", tmp_path)
    grid._grid.cache_clear()
    with pytest.raises(UserError) as caught:
        grid.expand("conformance", "smoke")
    grid._grid.cache_clear()
    assert str(caught.value).startswith("conformance/grid.yaml: line ")
    assert "key 'estimators' is there twice; see line " in str(caught.value)


def test_a_key_written_twice_in_a_configuration_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "smoke.yaml").write_text("tier: smoke\nthreads: 1\nthreads: 2\n")
    with pytest.raises(UserError, match="line 3, column 1: key 'threads' is there twice"):
        config.tier_of({"tier": "smoke"}, [tmp_path / "smoke.yaml"])
    (tmp_path / "own.json").write_text('{\n\t"tier": "smoke",\n\t"tier": "paper"\n}')
    with pytest.raises(UserError, match=r"json: line 3, column 2: key 'tier' is there twice"):
        config.tier_of({"tier": "paper"}, [tmp_path / "own.json"])
    monkeypatch.setattr(config, "CONFIG", tmp_path)
    with pytest.raises(UserError, match="line 3, column 1: key 'threads' is there twice"):
        config.tier_of({"tier": "smoke"})


def test_a_configuration_may_be_written_in_json(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{\n\t"tier": "smoke",\n\t"store": "C:\\/a"\n}')
    assert config.tier_of({"tier": "smoke"}, [tmp_path / "own.json"]) == "smoke"


def test_a_tier_file_that_names_another_tier_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config, "CONFIG", tmp_path)
    (tmp_path / "paper.yaml").write_text("tier: smoke\n")
    with pytest.raises(UserError, match=r"paper\.yaml: tier is 'smoke', its name 'paper'"):
        config.tier_of({"tier": "paper"})
