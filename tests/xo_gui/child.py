"""The window in a child process, to be killed or closed: `python -m tests.xo_gui.child [CLOSE_AFTER_SECONDS]`.

It restores the offered session, or draws an X; then it trains, and prints every step that it has shown.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from engine.drawings.drawing import Drawing, Stroke
from tests.xo_gui.lessons import DATA, STROKES
from xo_gui.__main__ import build, parse
from xo_gui.app.process import Garbage, Interrupt
from xo_gui.state.commands import LearnBy, LearnFrom, Train
from xo_gui.state.training_controller import WATCHED
from xo_gui.window.main_window import MainWindow

KEEP_EVERY = "0.2"
# The window's start values, but for longer than any test runs.
ENDLESS = replace(WATCHED, epochs=100_000)


def print_step(window: MainWindow) -> None:
    """Print the training step shown, which the parent process waits for."""
    training = window.last.training if window.last is not None else None
    if training is not None:
        print(f"step {training.now.step}", flush=True)


def begin(window: MainWindow) -> None:
    """Restore the offered session and resume training, or draw an X and train from scratch."""
    recovery, session = window.recovery, window.session
    assert recovery is not None
    if recovery.offer is not None:
        recovery.restore()
        recovery.offered.connect(lambda: window.training.wish(Train()))
        return
    drawing = Drawing(tuple(Stroke(points) for points in STROKES))
    session.edit(session.document.with_drawing(drawing), "Pen stroke")
    window.training.wish(LearnFrom(replace(window.training.intent.data, **DATA)))
    window.training.wish(LearnBy(ENDLESS))
    window.training.wish(Train())


def close(window: MainWindow) -> None:
    print("closing", flush=True)
    window.close()


def main(close_after: float | None) -> int:
    app = QApplication([])
    window = build(app, parse(["--device", "cpu", "--theme", "dark", "--keep-every", KEEP_EVERY]))
    Garbage(window)
    Interrupt(window)
    window.shown.connect(lambda: print_step(window))
    window.show()
    begin(window)
    if close_after is not None:
        QTimer.singleShot(round(1000 * close_after), window, lambda: close(window))
    return app.exec()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else None))
