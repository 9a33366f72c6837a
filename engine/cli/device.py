"""Where a command computes: on the chosen device, and on the processor if that fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from engine.backends import Backend, DeviceChoice, choose_backend, numpy_backend
from engine.backends.cuda import DeviceFault

T = TypeVar("T")


class ChosenDevice:
    """The device of --device; what it cannot do is said on stderr, one sentence each.

    backend: where the command computes now.
    """

    def __init__(self, choice: DeviceChoice) -> None:
        """Raises DeviceUnavailable if the GPU is asked for and cannot be used."""
        self.backend = choose_backend(choice)
        if self.backend.notice:
            _say(self.backend.notice)

    def compute(self, action: Callable[[Backend], T]) -> T:
        """What the action returns; if the GPU fails in it, the processor does it anew, and all later ones."""
        try:
            return action(self.backend)
        except DeviceFault as fault:
            _say(f"{fault} The processor computes instead.")
            self.backend = numpy_backend("the GPU failed")
        return action(self.backend)


def _say(sentence: str) -> None:
    print(f"xo: {sentence}", file=sys.stderr)
