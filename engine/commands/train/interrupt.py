"""Interrupt: Ctrl+C as a wish that is asked for, not as an error that comes in the middle of a step."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Final

_ANSWER: Final = b"\nStopping after this step, and saving the run ...\n"


class Interrupt:
    """While it is entered, Ctrl+C sets `asked`. Pressed again it does nothing more, so that nobody loses what is
    being saved. To be entered in the main thread, where Python lets signals be handled."""

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False
        self._before: Any = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Meanwhile, where nothing can be lost, Ctrl+C also raises KeyboardInterrupt."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            with suppress(OSError):  # nobody is there to read it
                os.write(2, _ANSWER)  # print() might be interrupted within itself
            if self._at_once:
                raise KeyboardInterrupt
