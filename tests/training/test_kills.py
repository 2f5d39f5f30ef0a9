"""Ten of the kills of `tests.kill_campaign`."""

from __future__ import annotations

import pytest

from tests import kill_campaign

CELL = "gaussian_fit-path-adam"


def test_ten_random_kills_lose_and_change_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    target = f"results/smoke/runs/sticking_the_landing/{CELL}"
    status = kill_campaign.main(["--kills=10", "--seed=5", f"--cell={CELL}", f"--target={target}"])
    said = capsys.readouterr().out
    assert "10 kills in " in said
    assert "0 runs lost, 0 tables changed, 0 commands failed" in said
    assert status == 0
