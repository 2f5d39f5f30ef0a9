"""The guide's cost is a ratio of two runs that take turns, and a slower partner raises it."""

from __future__ import annotations

from paper_repro.studies.silent_gradients.tasks import overhead

SMALL = {
    "dataset": "digits",
    "model": "mlp",
    "sizes": {"hidden": [8]},
    "dims": {"gaussian": 2, "bernoulli": 2},
    "batch_size": 4,
    "rounds": 3,
}


def test_every_pair_has_a_time_and_a_ratio():
    rows = list(overhead.rows(SMALL, 0, "cpu"))
    found = {(row.metric, row.estimator): row.value for row in rows}
    assert len(found) == 2 * len(overhead.PAIRS)
    assert all(value > 0 for value in found.values())


def test_both_of_a_pair_make_the_same_number_of_steps():
    gaussian = {"latent": "gaussian", "dim": 2, "estimator": "exact_kl"}
    problems = [overhead._run(SMALL, gaussian, seed, "cpu") for seed in (0, 1)]
    draws = [0, 0]
    for index, made in enumerate(problems):
        plain = made.draw

        def counted(step, index=index, plain=plain):
            draws[index] += 1
            return plain(step)

        made.draw = counted
    seconds = overhead.times(problems, 3)
    assert draws[0] == draws[1] == (3 + overhead.WARM_UP) * overhead.STEPS
    assert [len(found) for found in seconds] == [3, 3]
