"""Bar: one line at the foot of a terminal that says how far a run is. What it says is not its business."""

from __future__ import annotations

import shutil
from time import perf_counter
from typing import Final, TextIO

REDRAW_SECONDS: Final = 0.1
_WIDEST, _NARROWEST = 30, 6
# What is left out first where the terminal is narrow.
_LEAST_NEEDED: Final = ("speed", "step", "bar", "held out", "left", "loss")
_GAP: Final = "  "


class Bar:
    """Redraws itself at most ten times a second, as wide as the terminal is then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._shown, self._drawn_at = stream, 0, 0.0
        self._full, self._empty = ("━", "─") if _can_show(stream, "━─") else ("#", "-")

    @property
    def due(self) -> bool:
        """Whether it may be redrawn."""
        return perf_counter() - self._drawn_at >= REDRAW_SECONDS

    def draw(self, done: float, parts: dict[str, str]) -> None:
        """Show the share `done`, 0 to 1, and these words; "bar" among them marks the place of the bar."""
        self._drawn_at = perf_counter()
        text = self._fitted(done, parts, shutil.get_terminal_size().columns - 1)
        self._stream.write("\r" + text + " " * (self._shown - len(text)))
        self._stream.flush()
        self._shown = len(text)

    def clear(self) -> None:
        """Leave the line empty, for other words to come."""
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0

    def _fitted(self, done: float, parts: dict[str, str], columns: int) -> str:
        """The parts that have room, in their order."""
        left = dict(parts)
        for name in ("", *_LEAST_NEEDED):
            left.pop(name, None)
            words = [text for part, text in left.items() if part != "bar"]
            room = columns - sum(map(len, words)) - len(_GAP) * (len(left) - 1)
            if room >= (_NARROWEST if "bar" in left else 0):
                break
        bar = self._bar(done, min(room, _WIDEST)) if "bar" in left else ""
        return _GAP.join(bar if part == "bar" else text for part, text in left.items())[: max(0, columns)]

    def _bar(self, done: float, width: int) -> str:
        full = round(min(max(done, 0.0), 1.0) * width)
        return self._full * full + self._empty * (width - full)


def duration(seconds: float) -> str:
    """1:05, 2:03:04: what is left, as a clock shows it."""
    whole = round(seconds)
    minutes, hours = divmod(whole, 60)[0] % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _can_show(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
