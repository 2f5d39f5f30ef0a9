"""Progress for people: a line per run, at most every ten seconds and at its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from paper_repro import atomic

CHANGES_NO_NUMBER = True

INTERVAL = 10.0  # seconds between two lines of one run


def reporter(path: Path | None = None) -> Callable[[str], None]:
    """A function that writes a line to stderr and appends it to the file `path`, if given.

    UserError, at once, for a file that cannot be written.
    """

    def append(text: str) -> None:
        if path is not None:
            with atomic.writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "a", encoding="utf-8") as file:
                    file.write(text)

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        append(line + "\n")

    append("")

    return report


class Progress:
    """The progress lines of one run; `log` names the value they show."""

    def __init__(self, report: Callable[[str], None], run: str, steps: int, log: str) -> None:
        self.report, self.run, self.steps, self.log = report, run, steps, log
        self.newest = ""
        self.begin(0)

    def begin(self, step: int) -> None:
        """Training begins, or goes on, at `step`: steps/s are those of this process."""
        self.start, self.began = step, time.monotonic()
        self.shown = self.began

    def show(self, step: int, value: float) -> None:
        """The newest mean of the log, after `step` steps; a line if it is time for one."""
        now = time.monotonic()
        speed = (step - self.start) / max(now - self.began, 1e-9)
        self.newest = f"step {step}/{self.steps}  {self.log} {value:.2f}  {speed:.0f} steps/s"
        if now - self.shown >= INTERVAL and step < self.steps:
            self.shown = now
            self.say(f"{self.newest}  {duration((self.steps - step) / speed)} left")

    def end(self, status: str, seconds: float, evaluation_seconds: float) -> None:
        """The run has ended after so many seconds of training and of evaluation."""
        took = f"{duration(seconds)} training, {duration(evaluation_seconds)} evaluation"
        self.say("  ".join(filter(None, [self.newest, "done" if status == "ok" else status, took])))

    def say(self, text: str) -> None:
        """A line about this run."""
        self.report(f"{self.run}  {text}")


def duration(seconds: float) -> str:
    """05:09 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
