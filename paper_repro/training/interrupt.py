"""Stopping on request: finish the step, save, leave with the exit status shells expect."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

CHANGES_NO_NUMBER = True


class Stop(BaseException):
    """A signal arrived where waiting for the end of the step would take too long."""


class Interrupt:
    """Watches SIGTERM, SIGINT and SIGHUP while open (``with Interrupt() as interrupt``).

    `signal` is the number of the signal received, 0 before. One that the process ignores, as
    under nohup, stays ignored. Signals can be caught in a process's main thread only; in any other
    thread nothing is watched.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._leave_at_once = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self.signal and kind is None:  # came too late to be noticed: let it act as usual
            signal.raise_signal(self.signal)

    @property
    def status(self) -> int:
        """Exit status by the shells' convention: 143 after SIGTERM, 130 SIGINT, 129 SIGHUP."""
        return 128 + self.signal

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Within this block a signal raises `Stop` at once: for code that changes no state."""
        self._leave_at_once = True
        try:
            if self.signal:
                raise Stop
            yield
        finally:
            self._leave_at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if self._leave_at_once:
            raise Stop
