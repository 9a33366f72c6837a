"""Speed: how many steps a second training makes. It keeps no pace."""

from __future__ import annotations

from time import perf_counter


class Speed:
    """Steps a second over the last second or so."""

    def __init__(self) -> None:
        self._since, self._count, self.value = perf_counter(), 0, 0.0

    def count(self) -> None:
        """One more step."""
        self._count += 1
        passed = perf_counter() - self._since
        if passed > 0.5:
            self.value, self._since, self._count = self._count / passed, perf_counter(), 0
