"""Animation: the window while it trains, as an animated WebP or GIF. `python3 -m xo_gui --animation OUT.webp`.

It presses what a person would press; what training does is not its business.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QImage

from xo_gui.state.commands import Pace, Pause, Train
from xo_gui.window import import_export

if TYPE_CHECKING:
    from xo_gui.window.main_window import MainWindow

# Milliseconds between two frames; steps a second in the first part, when everything changes; frames of each part.
EVERY_MS: Final = 200
SLOWLY: Final = 40.0
SLOW_FRAMES, FAST_FRAMES, LAST_MS = 24, 22, 2000
WIDE: Final = 960  # pixels
PATIENCE_MS: Final = 180_000
KINDS: Final = {".webp": "WEBP", ".gif": "GIF"}


class Animation(QObject):
    """Trains from scratch, slowly at first, then as fast as it goes, and keeps a picture of the window now and
    then. finished: it is saved, or `trouble` says in a sentence why it is not.

    Raises ValueError for a file that is neither WebP nor GIF.
    """

    finished = Signal()

    def __init__(self, window: MainWindow, path: Path) -> None:
        super().__init__(window)
        if path.suffix.lower() not in KINDS:
            raise ValueError(f"An animation is a .webp or a .gif, not {path.name}; name it so.")
        self._window, self._path, self.trouble = window, path, ""
        self._frames: list[Image.Image] = []
        self._timer = QTimer(self, interval=EVERY_MS)
        self._timer.timeout.connect(self._frame)
        self._patience = QTimer(self, interval=PATIENCE_MS, singleShot=True)
        self._patience.timeout.connect(self._give_up)

    def begin(self) -> None:
        """Press Train."""
        self._patience.start()
        self._window.training.wish(Pace(SLOWLY))
        self._window.training.wish(Train())
        self._timer.start()

    def _frame(self) -> None:
        """Keep a picture, once the examples are drawn."""
        last = self._window.last
        if last is None or last.training is None or last.training.state == "preparing":
            return
        self._frames.append(_small(self._window.grab().toImage()))
        if len(self._frames) == SLOW_FRAMES:
            self._window.training.wish(Pace(None))
        elif len(self._frames) == SLOW_FRAMES + FAST_FRAMES:
            self._timer.stop()
            self._patience.stop()
            self._window.training.wish(Pause())
            self._save()

    def _save(self) -> None:
        first, *others = self._frames
        durations = [EVERY_MS // 2] * len(others) + [LAST_MS]
        data = io.BytesIO()
        kind = KINDS[self._path.suffix.lower()]
        more = {"quality": 70, "method": 4} if kind == "WEBP" else {"optimize": True}
        first.save(data, kind, save_all=True, append_images=others, duration=durations, loop=0, **more)
        try:
            import_export.write(self._path, data.getvalue())
        except (ValueError, OSError) as error:
            self.trouble = str(error)
        self.finished.emit()

    def _give_up(self) -> None:
        self._timer.stop()
        self.trouble = "Training did not come far enough in time, so there is no animation."
        self.finished.emit()


def _small(image: QImage) -> Image.Image:
    """The window's picture as Pillow takes it, WIDE pixels wide."""
    scaled = image.scaledToWidth(WIDE, Qt.TransformationMode.SmoothTransformation)
    scaled = scaled.convertToFormat(QImage.Format.Format_RGB888)
    lines = np.frombuffer(scaled.constBits(), np.uint8).reshape(scaled.height(), scaled.bytesPerLine())
    return Image.fromarray(lines[:, : 3 * scaled.width()].reshape(scaled.height(), scaled.width(), 3).copy())
