"""The window in a child process, to be killed or closed: `python -m tests.xo_gui.child [CLOSE_AFTER_SECONDS]`.

It restores the offered session, or draws an X; then it trains, and prints every step that it has shown.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

import engine.documents
from engine.drawings import Drawing, Stroke
from tests.xo_gui.lessons import DATA, STROKES
from xo_gui.__main__ import build_window, parse_arguments
from xo_gui.app import GarbageCollector, SignalHandler
from xo_gui.state import SetConfig, SetData, Start
from xo_gui.state.training_state import DEFAULT_CONFIG
from xo_gui.window import MainWindow

KEEP_EVERY = "0.2"
# The window's start values, but for longer than any test runs.
ENDLESS = replace(DEFAULT_CONFIG, epochs=100_000)


def print_step(window: MainWindow) -> None:
    """Print the training step shown, which the parent process waits for."""
    training = window.last.training if window.last is not None else None
    if training is not None:
        print(f"step {training.current_point.step}", flush=True)


def begin(window: MainWindow) -> None:
    """Restore the offered session and resume training, or draw an X and train from scratch."""
    recovery, session = window.autosave, window.session
    assert recovery is not None
    if recovery.offers:
        recovery.restore(recovery.offers[0])
        recovery.offers_changed.connect(lambda: window.training.execute(Start()))
        return
    drawing = Drawing(tuple(Stroke(points) for points in STROKES))
    session.edit(session.document.with_source(drawing), "Pen stroke")
    window.training.execute(SetData(replace(window.training.settings.data, **DATA)))
    window.training.execute(SetConfig(ENDLESS))
    window.training.execute(Start())


def close(window: MainWindow) -> None:
    print("closing", flush=True)
    window.close()


def main(close_after: float | None) -> int:
    app = QApplication([])
    engine.documents.shipped_run = lambda _: None  # its own training begins at step 0
    window = build_window(app, parse_arguments(["--device", "cpu", "--theme", "dark", "--keep-every", KEEP_EVERY]))
    GarbageCollector(window)
    SignalHandler(window)
    window.shown.connect(lambda: print_step(window))
    window.show()
    begin(window)
    if close_after is not None:
        QTimer.singleShot(round(1000 * close_after), window, lambda: close(window))
    return app.exec()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else None))
