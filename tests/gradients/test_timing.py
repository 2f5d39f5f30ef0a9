"""Seconds that are taken in turns."""

from __future__ import annotations

from paper_repro.gradients.timing import in_turns


def test_all_take_turns_and_the_first_rounds_do_not_count() -> None:
    order: list[str] = []
    turns = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    found = in_turns(turns, rounds=3, warm_up=2)
    assert order == ["a", "b"] * 5
    assert {label: len(seconds) for label, seconds in found.items()} == {"a": 3, "b": 3}
    assert all(s >= 0 for seconds in found.values() for s in seconds)
