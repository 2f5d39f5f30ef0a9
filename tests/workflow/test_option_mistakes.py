"""Every setting is judged when the grid expands, by name, type and range; nothing trains."""

from __future__ import annotations

from typing import Any

import pytest

from paper_repro import grid, parameters, registry
from paper_repro.errors import UserError
from paper_repro.schemas import holds
from tests.workflow import grids
from tests.workflow.grids import VAE

GUMBEL = {"latent": "bernoulli", "estimator": "gumbel_softmax"}
WRONG = [
    ("sizes: {hiden: [8]}", "sizes: unknown key 'hiden'; ", "did you mean 'hidden'?"),
    ("sizes: {hidden: 8}", "sizes.hidden: 8 is not a list", ""),
    ("sizes: {hidden: []}", "sizes.hidden: [] should be non-empty", ""),
    ("sizes: {hidden: [8.0]}", "sizes.hidden.0: 8.0 is not a whole number", "write 8"),
    ("sizes: {hidden: [0]}", "sizes.hidden.0: 0 is less than the minimum of 1", ""),
    ("sizes: {activation: rleu}", "sizes.activation: 'rleu' is not one of tanh, relu", "relu"),
    ("sizes: {layer_norm: yes}", "sizes.layer_norm: 'yes' is not true or false", "write true"),
    ("sizes: {layer_norm: 1}", "sizes.layer_norm: 1 is not true or false", ""),
    ("likelihood_options: {varience: 1}", "unknown key 'varience'", "did you mean 'variance'?"),
    ("likelihood_options: {variance: 0}", "likelihood_options.variance: 0 is less than", ""),
    ("likelihood_options: {variance: '1e-3'}", "'1e-3' is not a number", "leave the quotes away"),
    ("likelihood_options: {link: sigmod}", "link: 'sigmod' is not one of identity, ", "sigmoid"),
    ("latent_options: {scale: leaned}", "'leaned' is not 'learned' or a positive", ""),
    ("latent_options: {scale: -1}", "-1 is not 'learned' or a positive", ""),
    ("latent_options: {classes: 4}", "latent_options: unknown key 'classes'; allowed: scale", ""),
    ("objective_options: {beta: 1}", "objective_options: unknown key 'beta'", ""),
    ("estimator_options: {alpha: 1}", "estimator_options: unknown key 'alpha'", ""),
    ("prior_options: {layers: 2}", "prior_options: the standard prior has none", ""),
    ("{prior: flow, estimator: total, prior_options: {layer: 2}}", "key 'layer'", "'layers'"),
    ("dim: 10.0", "dim: 10.0 is not a whole number; write 10", ""),
    ("dim: true", "dim: True is not a whole number", ""),
    ("dim: '4'", "dim: '4' is not a whole number; leave the quotes away", ""),
    ("dim: 0", "dim: 0 is less than the minimum of 1", ""),
    ("dataset: ''", "dataset: has no value", ""),
    ("dim:", "dim: has no value", ""),
    ("steps: 400.0", "steps: 400.0 is not a whole number; write 400", ""),
    ("steps: 12:30", "steps: '12:30' is not a whole number", ""),
    ("lr: -0.003", "lr: -0.003 is less than or equal to the minimum of 0", ""),
    ("lr: 0", "lr: 0 is less than or equal to", ""),
    ("lr: {scedule: linear, from: 1, to: 2}", "lr: a number, or a schedule", ""),
    ("lr: {schedule: linaer, from: 1, to: 2}", "lr.schedule: 'linaer' is not one of", "linear"),
    ("lr: {schedule: [linear], from: 1, to: 2}", "lr.schedule: ['linear'] is not one of", ""),
    ("lr: {schedule: linear, from: 1, too: 2}", "lr: schedule: unknown key 'too'", "'to'"),
    ("lr: {schedule: linear, from: 1, to: -1}", "lr.to: -1 is less than or equal to", ""),
    ("lr: {schedule: linear, from: 1, to: 2, end: 3}", "needs 0 <= start < end <= 1", ""),
    ("gamma: {schedule: linear, from: 1, to: 2}", "gamma: {", "is not a number"),
    ("gamma: -1", "gamma: -1 is less than or equal to", ""),
    ("gamma: 2", "gamma: only likelihood 'gaussian_gamma' has a learned variance", ""),
    ("rates: {decodr: 1}", "rates: 'decodr' is not one of encoder, decoder", "'decoder'"),
    ("marks: [0.5, 1.5]", "marks.1: 1.5 is greater than the maximum of 1", ""),
    ("clip: -1", "clip: -1 is less than the minimum of 0", ""),
    ("batch_size: 5000", "batch_size: 5000 exceeds the 1347 training images of digits", ""),
    ("splits: [tset]", "splits.0: 'tset' is not one of train, validation, test", "'test'"),
    ("kappa: 0.1", "kappa: only objective 'geco' takes constraints", ""),
    ("constraints: {PNCC: 0.5}", "constraints: only objective 'geco' takes them", ""),
    ("objective: geco", "kappa, constraints: objective 'geco' needs at least one", ""),
    ("{objective: geco, constraints: {PNC: 0.5}}", "constraints: 'PNC' is not one of", "'PNCC'"),
    ("{objective: geco, constraints: {CLA: 0.9}}", "classifier_steps: 0, but constraints FRE", ""),
    (
        "{objective: geco, kappa: 1, objective_options: {decay: 1}}",
        "objective_options.decay: 1 is greater than or equal to the maximum of 1",
        "",
    ),
    (
        "{likelihood: gaussian_pixel, objective: geco, kappa: 1}",
        "of which it uses the mean alone",
        "",
    ),
    (
        "{layers: 2, estimator: total, protocol: importance, likelihood: bernoulli, "
        "preprocessing: binarised}",
        "layers: only model 'burda' has two",
        "",
    ),
    ("{estimator: total, protocol: importance}", "preprocessing 'unit'; it serves binarised", ""),
    ("protocol: plain", "protocol: 'plain' is not one of bounds, frozen, importance", "'plane'"),
    ("targets: [0.1]", "unknown key 'targets'", ""),  # of another protocol
    ("outliers: digits", "outliers: 'digits' is the data set itself", ""),
    ("outliers: patches", "outliers: patches is of shape [1, 12, 12], digits of [1, 8, 8]", ""),
    ("model: convdraw", "model 'convdraw' cannot serve protocol 'bounds'", ""),
    ("{model: resnet, dataset: patches}", "a side of patches: 12 is not one of 2, 4, 8", ""),
    ("dataset: curve", "preprocessing: 'unit', but curve holds vectors", ""),
    ("preprocessing: none", "preprocessing: 'none', but digits holds images", ""),
    ("compare: [silent, silent]", "has non-unique elements", ""),
    ("gradient_draws: 5", "gradient_draws: must be 0 without `compare`", ""),
]


@pytest.mark.parametrize(("text", "message", "hint"), WRONG)
def test_a_wrong_setting_is_refused_with_the_nearest_that_is_right(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str, hint: str
) -> None:
    line = grids.refusal(monkeypatch, "vae", VAE | grids.read(text))
    assert line.startswith("sticking_the_landing/grid.yaml: e")
    assert message in line
    assert hint in line


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (GUMBEL, "{temprature: 0.5}", "unknown key 'temprature'; allowed: temperature; did you"),
        (GUMBEL, "{temperature: 0}", "temperature: 0 is less than or equal to the minimum of 0"),
        (GUMBEL, "{temperature: {schedule: linear, from: 1, to: 0}}", "temperature.to: 0 is less"),
        ({}, "{first: exact_kl, second: annealed}", "'annealed' is not an estimator that it can"),
        ({}, "{first: exact_kl, second: score_function, alpha: 1.5}", "alpha: 1.5 is greater"),
        ({}, "{first: exact_kl, second: score_function, alpah: 1}", "did you mean 'alpha'?"),
        (
            {},
            "{first: exact_kl, second: score_function, alpha: {schedule: linear, from: 2, to: 0}}",
            "alpha.from: 2 is greater than the maximum of 1",
        ),
        ({}, "{first: exact_kl, second: score_function, temperature: 1}", "key 'temperature'"),
        ({}, "{first: exact_kl, second: rloo}", "estimator 'rloo' needs 2 samples, not 1"),
    ],
)
def test_a_wrong_option_of_an_estimator_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], options: str, message: str
) -> None:
    changes = {"estimator": "annealed"} | given | {"estimator_options": grids.read(options)}
    assert message in grids.refusal(monkeypatch, "vae", VAE | changes)


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("snr", "{k: [1, 10], draws: [100]}", "draws: 1 entries for 2 of k; one each is needed"),
        ("exactness", "{k: [1], k_draws: [9, 9]}", "k_draws: 2 entries for 1 of k"),
        ("gaussian_fit", "{estimator: path, lr: 0}", "lr: 0 is less than or equal to"),
        (
            "gaussian_fit",
            "{estimator: path, score: fixed}",
            "score: goes with estimator 'control_variate' alone",
        ),
        (
            "gaussian_fit",
            "{estimator: total, c: 0.25}",
            "c: goes with estimator 'control_variate' and score 'fixed' alone",
        ),
        (
            "gaussian_fit",
            "{estimator: control_variate, score: running, c: 0.25}",
            "c: goes with estimator 'control_variate' and score 'fixed' alone",
        ),
        (
            "gaussian_fit",
            "{estimator: path, steps: 90, gradient_every: 100}",
            "gradient_every: 100 exceeds steps, 90",
        ),
        ("flow_fit", "{estimator: path, steps: 99}", "evaluate_every: 100 exceeds steps, 99"),
        ("mixture_fit", "{estimator: path, steps: 99}", "evaluate_every: 100 exceeds steps, 99"),
        ("snr", "{k: [1, 10, 10], draws: [9, 9, 9]}", "k: [1, 10, 10] has non-unique elements"),
        ("path_to_truth", "{a: [0, 0.0, 1]}", "a: [0, 0.0, 1] has non-unique elements"),
        ("snr", "{k: [], draws: []}", "draws: [] should be non-empty"),
        ("variance_map", "{s2: []}", "s2: [] should be non-empty"),
        ("path_to_truth", "{a: []}", "a: [] should be non-empty"),
        ("exactness", "{k: [], k_draws: []}", "k: [] should be non-empty"),
        ("gausian_fit", "{estimator: path}", "task: 'gausian_fit' is not one of"),
        ("vae", "{dataset: digits, layers: 1.0}", "layers: 1.0 is not one of 1, 2"),
        ("vae", "{dataset: digits, layers: true}", "layers: True is not one of 1, 2"),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_any_task_is_refused(
    monkeypatch: pytest.MonkeyPatch, task: str, text: str, message: str
) -> None:
    known = VAE if task == "vae" else {}
    assert message in grids.refusal(monkeypatch, task, known | grids.read(text))


@pytest.mark.parametrize(
    ("study", "task", "most"),
    [("infinite_gradients", "pca", 64), ("silent_gradients", "ceiling", 63)],
)
def test_more_components_than_pixels_are_refused(
    monkeypatch: pytest.MonkeyPatch, study: str, task: str, most: int
) -> None:
    params = {"dataset": "digits", "dims": [2, most + 1]}
    params |= {"variances": [1]} if task == "ceiling" else {}
    monkeypatch.setattr(grids, "STUDY", study)
    line = grids.refusal(monkeypatch, task, params)
    assert line.endswith(f"dims: {most + 1}, at most {most}")
    grids.expand(monkeypatch, task, params | {"dims": [most]})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "'compare' is a required property"),
        ({"compare": []}, "compare: [] should be non-empty"),
        ({"compare": ["exact_kl"], "temperatures": []}, "temperatures: [] should be non-empty"),
    ],
)
def test_a_task_that_would_measure_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(grids, "STUDY", "conformance")
    assert message in grids.refusal(monkeypatch, "conformance", {"latent": "gaussian"} | params)


@pytest.mark.parametrize("preprocessing", ["unit", "dequantised"])
def test_a_bernoulli_likelihood_is_refused_for_grey_pixels(
    monkeypatch: pytest.MonkeyPatch, preprocessing: str
) -> None:
    changes = {"likelihood": "bernoulli", "preprocessing": preprocessing}
    line = grids.refusal(monkeypatch, "vae", VAE | changes)
    assert f"'bernoulli' cannot serve preprocessing {preprocessing!r}; it serves binarised" in line


def test_a_density_of_real_values_is_refused_for_binary_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = grids.refusal(monkeypatch, "vae", VAE | {"preprocessing": "binarised"})
    assert "likelihood 'gaussian' cannot serve preprocessing 'binarised'" in line


def test_a_bernoulli_likelihood_of_binary_pixels_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"likelihood": "bernoulli", "preprocessing": "binarised"}
    (cell,) = grids.expand(monkeypatch, "vae", VAE | changes)
    assert cell.params["likelihood"] == "bernoulli"


ROOMS = {"estimators": "OPTIONS", "objectives": "OPTIONS", "latents": "OPTIONS",
         "likelihoods": "OPTIONS", "models": "SIZES"}  # fmt: skip


@pytest.mark.parametrize(
    ("room", "name"), [(room, name) for room in ROOMS for name in registry.names(room)]
)
def test_the_defaults_of_every_part_follow_its_own_rules(room: str, name: str) -> None:
    rules = dict(parameters.rules(room, name, ROOMS[room]))
    for option, default in (registry.constant(room, name, ROOMS[room]) or {}).items():
        value = list(default) if isinstance(default, tuple) else default
        assert holds(value, rules[option]), option


def test_more_cells_than_a_machine_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {name: list(range(1, 101)) for name in ("dim", "k", "samples")}
    written = {"e": {"task": "vae", "title": "t", "seeds": 1, "params": VAE}}
    written["e"]["axes"] = axes
    monkeypatch.setattr(grid, "_grid", lambda study: {"experiments": written})
    with pytest.raises(UserError, match="e: 1,000,000 cells, at most 20,000"):
        grid.expand(grids.STUDY, "paper")
