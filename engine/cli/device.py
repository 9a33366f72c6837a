"""Where a command computes: on the chosen device, and on the processor if that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from engine.backends import Backend, ComputeDevice, DeviceChoice, choose_backend

T = TypeVar("T")


class ChosenDevice(ComputeDevice):
    """The device of --device; what it cannot do is said on stderr, one sentence each."""

    def __init__(self, choice: DeviceChoice, say: Callable[[str], None] | None = None) -> None:
        """say: says it otherwise. Raises DeviceUnavailable if the GPU is asked for and cannot be used."""
        super().__init__(choose_backend(choice), say or _say)
        if self.backend.notice:
            _say(self.backend.notice)

    def compute(self, action: Callable[[Backend], T]) -> T:
        """What the action returns; if the GPU fails in it, this and all later ones are done on the next backend."""
        return self.run(lambda: action(self.backend))


def _say(sentence: str) -> None:
    print(f"xo: {sentence}", file=sys.stderr)
