"""Records the window while it trains, as an animated WebP or GIF: `python3 -m xo_gui --animation OUT.webp`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QImage

from engine.runtime import Snapshot
from xo_gui.state import Pause, SetSpeedLimit, Start
from xo_gui.window import import_export
from xo_gui.window.main_window import MainWindow

# The first part is slow, as most changes then: its steps per second, and the number of frames of both parts.
SLOW_PACE: Final = 40.0
SLOW_FRAMES, FAST_FRAMES = 24, 22
FRAME_INTERVAL_MS: Final = 200
LAST_FRAME_MS: Final = 2000  # how long the last frame is shown
WIDTH: Final = 960  # pixels
TIMEOUT_MS: Final = 180_000
FORMATS: Final = {".webp": "WEBP", ".gif": "GIF"}


class WindowRecorder(QObject):
    """Trains from scratch, slowly at first, then at full speed, and records the window.

    finished: the recording was saved, or `error` is the sentence that says why not.

    Raises ValueError for a file that is neither WebP nor GIF.
    """

    finished = Signal()

    def __init__(self, window: MainWindow, path: Path) -> None:
        super().__init__(window)
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"An animation is a .webp or a .gif file, not {path.name}; change the name.")
        self._window, self._path, self.error = window, path, ""
        self._frames: list[Image.Image] = []
        self._recorded: Snapshot | None = None  # in the last frame
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_INTERVAL_MS)
        self._timer.timeout.connect(self._record_frame)
        self._timeout = QTimer(self)
        self._timeout.setInterval(TIMEOUT_MS)
        self._timeout.setSingleShot(True)
        self._timeout.timeout.connect(self._give_up)

    def start(self) -> None:
        """Start training and recording."""
        self._timeout.start()
        self._window.training.execute(SetSpeedLimit(SLOW_PACE))
        self._window.training.execute(Start())
        self._timer.start()

    def _record_frame(self) -> None:
        """Record the window, unless it shows nothing new."""
        last = self._window.last
        if last is None or last is self._recorded or last.training is None or last.training.state == "preparing":
            return
        self._recorded = last
        self._window.catch_up()
        self._frames.append(_scaled(self._window.grab().toImage()))
        if len(self._frames) == SLOW_FRAMES:
            self._window.training.execute(SetSpeedLimit(None))
        elif len(self._frames) == SLOW_FRAMES + FAST_FRAMES:
            self._timer.stop()
            self._timeout.stop()
            self._window.training.execute(Pause())
            self._save()

    def _save(self) -> None:
        first, *others = self._frames
        durations = [FRAME_INTERVAL_MS // 2] * len(others) + [LAST_FRAME_MS]
        data = io.BytesIO()
        format_name = FORMATS[self._path.suffix.lower()]
        options = {"quality": 70, "method": 4} if format_name == "WEBP" else {"optimize": True}
        first.save(data, format_name, save_all=True, append_images=others, duration=durations, loop=0, **options)
        try:
            import_export.write_file(self._path, data.getvalue())
        except (ValueError, OSError) as error:
            self.error = str(error)
        self.finished.emit()

    def _give_up(self) -> None:
        self._timer.stop()
        self.error = "Training was too slow to be recorded in time, so there is no animation."
        self.finished.emit()


def _scaled(image: QImage) -> Image.Image:
    """The picture as a Pillow image, WIDTH pixels wide."""
    scaled = image.scaledToWidth(WIDTH, Qt.TransformationMode.SmoothTransformation)
    scaled = scaled.convertToFormat(QImage.Format.Format_RGB888)
    lines = np.frombuffer(scaled.constBits(), np.uint8).reshape(scaled.height(), scaled.bytesPerLine())
    return Image.fromarray(lines[:, : 3 * scaled.width()].reshape(scaled.height(), scaled.width(), 3).copy())
