"""A mistake in the configuration or a grid stops with one line before anything trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from paper_repro import config, grid, registry, workflow
from paper_repro.errors import UserError
from tests.workflow.conftest import Clone
from tests.workflow.grids import BURDA, VAE


def test_a_mistyped_config_key_stops_snakemake_with_one_line_naming_key_and_choices(
    clone: Clone,
) -> None:
    output = clone.snakemake("-n", "--config", "tier=smoke", "divice=cpu", ok=False)
    (line,) = refusals(output)
    assert "unknown key 'divice'" in line
    assert "did you mean 'device'?" in line


def refusals(output: str) -> list[str]:
    """The lines of Snakemake's output but for what it says of its profile and configuration."""
    return [line for line in output.splitlines() if not line.startswith(("Using ", "Config "))]


def test_a_mistake_in_a_grid_stops_snakemake_with_one_line_that_names_the_grid(
    clone: Clone,
) -> None:
    grid_file = clone.folder / "paper_repro/studies/sticking_the_landing/grid.yaml"
    text = grid_file.read_text(encoding="utf-8")
    assert text.count("score: fixed") >= 1
    grid_file.write_text(text.replace("score: fixed", "scor: fixed"), encoding="utf-8")
    try:
        output = clone.snakemake("-n", "--config", "tier=paper", ok=False)
    finally:
        grid_file.write_text(text, encoding="utf-8")
    (line,) = refusals(output)
    assert line.startswith("paper_repro: sticking_the_landing/grid.yaml: gaussian_fit-")
    assert "unknown key 'scor'" in line
    assert "did you mean 'score'?" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-n --config tier=smoke seeds=1 seeds=2", "--config: 'seeds' is given twice"),
        ("-C tier=smoke tier=paper --cores 2", "--config: 'tier' is given twice"),
        ("--config tier=smoke --cores 2 --config seeds=1", "--config: is given twice; write all"),
        ("--config tier=smoke -n -C seeds=1", "--config: is given twice; write all"),
    ],
)
def test_a_setting_given_twice_on_the_command_line_is_refused(
    monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    monkeypatch.setattr("sys.argv", ["snakemake", *words.split()])
    with pytest.raises(UserError, match=message):
        config.tier_of({"tier": "smoke"})
    once = ["-n", "-c", "2", "--config", "tier=smoke", "seeds=1", "-R", "x"]
    monkeypatch.setattr("sys.argv", ["snakemake", *once])
    assert config.tier_of({"tier": "smoke"}) == "smoke"


def test_an_unknown_tier_names_the_tiers(clone: Clone) -> None:
    output = clone.snakemake("-n", "--config", "tier=big", ok=False)
    assert "tier" in output
    assert "smoke, quick, reduced, paper, published" in output


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("device", "gpu", "config.device: 'gpu' is not one of auto, cpu, cuda"),
        ("studies", "stl", "config.studies: 'stl' is not one of all, "),
        ("seeds", -1, "config.seeds: -1 is less than the minimum of 0"),
        ("seeds", 2.0, "config.seeds: 2.0 is not a whole number; write 2"),
        ("seeds", True, "config.seeds: True is not a whole number"),
        ("seeds", None, "config.seeds: has no value"),
        ("device", None, "config.device: has no value"),
        ("threads", "two", "config.threads: 'two' is not a whole number"),
        ("threads", 0, "config.threads: 0 is less than the minimum of 1"),
        ("cells_per_job", 0, "config.cells_per_job: 0 is less than the minimum of 1"),
        ("download", "flase", "config.download: 'flase' is not true or false"),
        ("download", 0, "config.download: 0 is not true or false"),
        ("data_dir", 123, "config.data_dir: 123 is not a text; quote it"),
        ("data_dir", "/nowhere", "config.data_dir: '/nowhere' is not a folder"),
        ("store", __file__, f"config.store: {__file__!r} is not a folder"),
        ("store", f"{__file__}/runs", f"config.store: {__file__!r} is not a folder"),
        ("studies", "sticking_the_landin", "config.studies: 'sticking_the_landin' is not one"),
        ("studies", 2024, "config.studies: 2024 is not a text"),
        ("device", ["cpu"], "config.device: ['cpu'] is not one of auto, cpu, cuda"),
    ],
)
def test_a_wrong_config_value_is_named(key: str, value: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        config.check({"tier": "smoke", key: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        *(("download", text, False) for text in ("false", "False", "no", "off")),
        *(("download", text, True) for text in ("true", "TRUE", "yes", True)),
        *(("seeds", given, 2) for given in (2, "2")),
        ("data_dir", None, ""),
        ("studies", " conformance ", ["conformance"]),
        ("studies", "conformance, taming_vaes", ["taming_vaes", "conformance"]),
    ],
)
def test_what_is_typed_behind_config_is_read_as_the_type_it_stands_for(
    key: str, value: object, meant: object
) -> None:
    given = {"tier": "smoke", key: value}
    config.check(given)
    assert given[key] == meant
    assert type(given[key]) is type(meant)


def test_a_gpu_is_asked_for_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(config.shutil, "which", lambda name: None)
    with pytest.raises(
        UserError, match=r"config\.device: 'cuda', but this machine has no CUDA GPU"
    ):
        config.check_device("cuda", local=True)
    for device, local in (("cuda", False), ("auto", True), ("cpu", True)):
        config.check_device(device, local)
    monkeypatch.setattr(config.shutil, "which", lambda name: f"/usr/bin/{name}")
    config.check_device("cuda", local=True)  # a login node, in a dry run


def expand_with(
    monkeypatch: pytest.MonkeyPatch,
    params: dict[str, object] = BURDA,
    **changes: object,
) -> list[grid.Cell]:
    written = {
        "study": "sticking_the_landing",
        "title": "t",
        "experiments": {"e": {"task": "vae", "title": "t", "seeds": 1, "params": params | changes}},
    }
    monkeypatch.setattr(grid, "_grid", lambda study: yaml.safe_load(yaml.safe_dump(written)))
    return grid.expand("sticking_the_landing", "paper")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "mnits"}, "dataset: 'mnits' is not one of digits"),
        ({"estimator": "pathh"}, "estimator: 'pathh' is not one of "),
        ({"objective": "iwea"}, "objective: 'iwea' is not one of autoencoder, beta_elbo, "),
        ({"layerz": 2}, "unknown key 'layerz'; allowed: "),
        ({"k": 0}, "k: 0 is less than the minimum of 1"),
        ({"likelihood": "gauss"}, "likelihood: 'gauss' is not one of baggins, bernoulli"),
        (
            {"likelihood": "gaussian", "preprocessing": "unit"},
            "model 'burda' cannot serve likelihood 'gaussian'; it serves bernoulli",
        ),
        ({"protocol": "bounds"}, "model 'burda' cannot serve protocol 'bounds'; it serves imp"),
        (
            {"estimator": "exact_kl", "layers": 2},
            "estimator 'exact_kl' cannot serve posterior 'two_layer'; it serves gaussian",
        ),
        (
            {"estimator": "exact_kl", "objective": "iwae"},
            "estimator 'exact_kl' cannot serve objective 'iwae'; it serves elbo",
        ),
        (
            {"compare": ["total", "partial"]},
            "estimator 'partial' cannot serve posterior 'gaussian'; it serves mixture",
        ),
    ],
)
def test_an_impossible_cell_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        expand_with(monkeypatch, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": "two_layer"}, "latent: 'two_layer' is not one of gaussian, bernoulli"),
        (
            {"model": "mlpp"},
            "model: 'mlpp' is not one of burda, conv, conv_standardised, convdraw",
        ),
        ({"likelihood": "gauss"}, "likelihood: 'gauss' is not one of baggins, bernoulli"),
        ({"model": "convdraw"}, "model 'convdraw' cannot serve protocol 'bounds'; it serves plane"),
        (
            {"estimator": "silent"},
            "estimator 'silent' cannot serve decoder 'mlp'; it serves linear",
        ),
        (
            {"estimator": "silent", "decoder": "linear", "likelihood": "bernoulli"},
            "estimator 'silent' cannot serve likelihood 'bernoulli'",
        ),
        ({"prior": "flow"}, "estimator 'exact_kl' cannot serve prior 'flow'"),
        (
            {"estimator": "gumbel_softmax"},
            "estimator 'gumbel_softmax' cannot serve posterior 'gaussian'",
        ),
        (
            {"latent": "bernoulli", "objective": "bilbo", "estimator": "rloo", "k": 2},
            "objective 'bilbo' cannot serve posterior 'bernoulli'; it serves gaussian",
        ),
        (
            {"estimator": "annealed", "estimator_options": {"first": "silent", "second": "rloo"}},
            "estimator 'silent' cannot serve decoder 'mlp'",
        ),
        (
            {"estimator": "annealed", "estimator_options": {"first": "silnt", "second": "rloo"}},
            "did you mean 'silent'?",
        ),
        ({"objective": "autoencoder"}, "cannot serve"),
    ],
)
def test_parts_that_do_not_compose_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        expand_with(monkeypatch, VAE, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"estimator": "silent", "decoder": "linear"},
        {  # the guide is linear where the decoder is not
            "estimator": "annealed",
            "estimator_options": {"first": "silent", "second": "exact_kl", "alpha": 0.5},
            "guide": "linear",
        },
        {"estimator": "total", "prior": "flow"},
    ],
)
def test_parts_that_compose_are_accepted(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    (cell,) = expand_with(monkeypatch, VAE, **changes)
    names = {path.stem for path in grid.sources(cell)}
    assert {"gaussian", "mlp", "elbo", cell.params["estimator"]} <= names
    assert set(changes.get("estimator_options", {}).values()) - {0.5} <= names


def test_settings_inside_options_stand_in_the_name_of_a_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = {"e": {
        "task": "vae", "title": "t", "seeds": 1, "params": VAE,
        "axes": {"noise": [{"likelihood_options": {"variance": 0.1}},
                           {"likelihood_options": {"variance": 1.0}}],
                 "goal": [{"objective": "elbo"},
                          {"objective": "geco", "kappa": 0.06}]},
    }}  # fmt: skip
    monkeypatch.setattr(
        grid, "_grid", lambda study: {"study": study, "title": "t", "experiments": written}
    )
    found = [cell.id for cell in grid.expand("sticking_the_landing", "paper")]
    assert found == [
        "e-variance0.1-elbo", "e-variance0.1-geco-kappa0.06",
        "e-variance1-elbo", "e-variance1-geco-kappa0.06",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"axes": {"k": [1, 2], "other": [{"k": 3}]}},
            "e: axes 'k' and 'other' both set 'k'",
        ),
        (
            {"axes": {"both": [{"k": 1}, {"k": 2}]}, "tiers": {"paper": {"params": {"k": 5}}}},
            "e.tiers.paper.params: 'k' has no effect, axis 'both' always sets it",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], message: str
) -> None:
    written = {"e": {"task": "vae", "title": "t", "seeds": 1, "params": BURDA} | changes}
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    with pytest.raises(UserError) as caught:
        grid.expand("sticking_the_landing", "paper")
    assert str(caught.value) == f"sticking_the_landing/grid.yaml: {message}"


@pytest.mark.parametrize(
    "again", [{"k": 2, "batch_size": 128}, {"batch_size": 128, "k": 2}, {"k": 2, "dim": 1}]
)
def test_one_point_of_a_grid_in_two_spellings_is_refused(
    monkeypatch: pytest.MonkeyPatch, again: dict[str, object]
) -> None:
    """Defaults that are written out and another order of keys make no other cell."""
    axes = {"setting": [{"k": 1}, {"k": 2}, again]}
    written = {"e": {"task": "vae", "title": "t", "seeds": 1, "params": BURDA, "axes": axes}}
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    with pytest.raises(UserError, match=r": e-\S+: has the very settings of e-k2; it would be run"):
        grid.expand("sticking_the_landing", "paper")


def test_a_tier_sets_what_an_axis_sets_at_some_points_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    axes = {"some": [{"layers": 1}, {"layers": 2, "steps": 7}]}
    written = {"e": {"task": "vae", "title": "t", "seeds": 1, "params": BURDA, "axes": axes,
                     "tiers": {"paper": {"params": {"steps": 5}}}}}  # fmt: skip
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    found = grid.expand("sticking_the_landing", "paper")
    assert [cell.params["steps"] for cell in found] == [5, 7]


def test_the_unchanged_cell_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    (cell,) = expand_with(monkeypatch)
    assert cell.params["batch_size"] == 128


@pytest.mark.parametrize("study", grid.study_names())
@pytest.mark.parametrize("tier", grid.TIERS)
def test_every_shipped_grid_expands(study: str, tier: str) -> None:
    cells = grid.expand(study, tier)
    assert cells
    assert all(len(cell.seeds) >= 1 for cell in cells)
    assert all(path.is_file() for cell in cells for path in grid.sources(cell))


def test_components_are_found_without_importing_them() -> None:
    assert {"total", "path", "dreg"} <= set(registry.names("estimators"))
    assert "terms" not in registry.names("estimators")


def test_a_part_of_what_is_published_is_a_target_not_a_setting() -> None:
    with pytest.raises(UserError, match=r"config\.studies: .* snakemake conformance --config tier"):
        config.check({"tier": "published", "studies": "conformance"})
    whole = {"tier": "published", "studies": ",".join(grid.study_names())}
    config.check(whole)
    assert whole["studies"] == grid.study_names()


def test_claims_are_read_by_the_workflow_and_not_again_by_each_of_its_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    # append returns None: a study without claims
    monkeypatch.setattr(config.claim_names, "read", lambda _, study: read.append(study) or [])
    given = {"tier": "smoke", "studies": "conformance"}
    assert workflow.load_cells(dict(given), claims=False)
    assert read == []
    assert workflow.load_cells(dict(given), claims=True)
    assert read == ["conformance"]
    text = (registry.PACKAGE.parent / "workflow/rules/common.smk").read_text(encoding="utf-8")
    assert "load_cells(config, claims=workflow.is_main_process)" in text


def test_a_claim_of_two_studies_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = config.claim_names.read(registry.STUDIES / "conformance/claims.yaml", "conformance")[:1]
    monkeypatch.setattr(config.claim_names, "read", lambda _, study: one)
    said = r"\w+/claims\.yaml: conformance-K1 is a claim of \w+ too"
    with pytest.raises(UserError, match=said):
        config.check({"tier": "smoke", "studies": "conformance,taming_vaes"})
