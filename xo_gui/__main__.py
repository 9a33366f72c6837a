"""Entry point of the window, `python3 -m xo_gui`: parses the command line and builds the application."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xo_gui.bootstrap import OFFSCREEN_PLATFORMS, ensure_environment, ensure_system_libraries
from xo_gui.own_engine import foreign_engine_message

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from engine.documents import ProjectState
    from engine.nn import Model
    from xo_gui.window import MainWindow

TIMEOUT_MS = 30_000
SETTLE_MS = 300
AUTOSAVE_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window, or render it to a file and exit; returns the exit code."""
    ensure_environment((), "xo_gui")
    message = foreign_engine_message()
    if message:
        print(f"xo-gui: {message}", file=sys.stderr)
        return 1
    args = parse_arguments(arguments)
    offscreen = bool(args.screenshot or args.animation)
    if offscreen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    ensure_system_libraries(screen=not offscreen)
    return run(args)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "xo-gui", description="See how a convolutional neural network recognizes a drawing."
    )
    parser.add_argument("file", nargs="?", type=Path, help="a picture or a model to open")
    parser.add_argument("--preset", help="the network to start with")
    parser.add_argument("--drawing", type=Path, metavar="IMAGE", help="a picture to start with as the drawing")
    parser.add_argument("--theme", choices=["system", "light", "dark"], help="the colours (default: as last time)")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="what computes")
    parser.add_argument("--size", type=_size, metavar="WxH", help="the window's size, such as 1280x800")
    parser.add_argument(
        "--keep-every",
        type=_seconds,
        default=AUTOSAVE_SECONDS,
        metavar="SECONDS",
        help="how often to autosave the project (default: 10)",
    )
    parser.add_argument("--screenshot", type=Path, metavar="OUT.png", help="render the window to a file and exit")
    parser.add_argument(
        "--animation", type=Path, metavar="OUT.webp", help="train, render that to a .webp or .gif, and exit"
    )
    return parser.parse_args(arguments)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write it as 1280x800") from None
    if not (200 <= width <= 8000 and 200 <= height <= 8000):
        raise argparse.ArgumentTypeError(f"{text} is out of range; each side may be 200 to 8000")
    return width, height


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0.1 <= seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text} is out of range; it may be 0.1 to 600 seconds")
    return seconds


class CannotOpen(ValueError):
    """A file or preset of the command line cannot be opened; the message is a sentence that says why."""


def run(args: argparse.Namespace) -> int:
    """Build the application and its window, and run it until the window closes; a fault before that is logged and
    shown."""
    from xo_gui.log import open_log

    crash = open_log()
    try:
        return run_application(args, crash)
    except CannotOpen as error:
        print(f"xo-gui: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - it is logged and shown
        report_failed_start(error)
        return 1


def run_application(args: argparse.Namespace, crash: str | None) -> int:
    """crash: a sentence to show in the window, about the last run."""
    os.environ["PYQTGRAPH_QT_LIB"] = "PySide6"
    from PySide6.QtWidgets import QApplication

    from xo_gui.app import GarbageCollector, SignalHandler, install_exception_hook

    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    reporter = install_exception_hook()
    window = build_window(app, args)
    try:
        reporter.connect_to(window.show_message)
        GarbageCollector(window)
        if crash:
            window.show_message(crash)
        if args.screenshot:
            return save_screenshot(app, window, args.screenshot)
        if args.animation:
            return save_animation(app, window, args.animation)
        SignalHandler(window)
        window.show()
        return app.exec()
    finally:
        window.stop_engine()  # Qt ends the process if the thread is destroyed while it runs


def report_failed_start(error: Exception) -> None:
    """Log what prevented the start, and say it in the terminal and, where there is a screen, in a box."""
    from xo_gui.log import log_folder

    sentence = f"The window cannot be opened. The log in {log_folder()} has the details"
    logging.getLogger("xo_gui").error(sentence, exc_info=error)
    try:
        from PySide6.QtWidgets import QApplication, QMessageBox
    except ImportError:  # Qt itself is what is missing: the terminal has the sentence
        return
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    if app.platformName() not in OFFSCREEN_PLATFORMS:
        QMessageBox.critical(None, "XO", f"{sentence}: {type(error).__name__}: {error}")


def build_window(app: QApplication, args: argparse.Namespace) -> MainWindow:
    """The window with its session and its running engine thread. Raises CannotOpen for a file or preset that
    cannot be opened."""
    from engine.data import InputSample
    from engine.documents import Document, ProjectState, read_file
    from engine.nn import Model
    from xo_gui.app import Preferences, guard_overrides, load_fonts, resolve_theme, theme_service
    from xo_gui.state import Autosave, EngineThread, Session, Statement, session_folder
    from xo_gui.window import MainWindow

    guard_overrides("xo_gui")
    # The longest wait for Python's lock, in seconds. Measured: with 1 ms instead of 5, training in the window is
    # about 4 % faster, and a stroke no slower.
    sys.setswitchinterval(0.001)
    app.setApplicationName("xo-gui")
    app.setApplicationDisplayName("XO")
    load_fonts()
    settings = Preferences(app)
    work = None
    try:
        model, recorded, error = _start_model(args.preset)
        started, document = model, Document.opening(model)
        for path in (args.file, args.drawing):
            opened = None if path is None else read_file(path, document.kind)
            if isinstance(opened, Model):
                document = Document.opening(opened)
            elif isinstance(opened, ProjectState):
                work = opened
            elif isinstance(opened, InputSample):
                document = document.with_input(opened)
    except (ValueError, OSError) as refused:
        raise CannotOpen(str(refused)) from refused
    theme = args.theme or settings.theme
    theme_service.set_theme(resolve_theme(theme))
    thread = EngineThread(args.device, keep_every=args.keep_every)
    window = MainWindow(Session(document), thread, settings, theme)
    thread.setParent(window)
    window.session.setParent(window)
    window.resize(*(args.size or (1280, 800)))
    window.panels.adapt_to_width(window.width())
    if not args.size and not args.screenshot and not args.animation:
        window.restore_layout()
    for sentence in settings.problems:
        window.show_message(sentence)
    if error:
        window.show_message(Statement(error, partial(window.session.has_model, started)))
    if recorded is not None:
        window.training.add_shipped_run(recorded)
    thread.start()
    try:
        if not args.screenshot and not args.animation:
            window.start_autosave(
                Autosave(window.session, window.training, session_folder(), args.keep_every, window)
            )
            window.import_export.remove_leftovers()
        if work is not None:
            window.training.restore(work)
    except BaseException:
        thread.stop()  # Qt ends the process if it is destroyed while it runs
        raise
    return window


def _start_model(name: str | None) -> tuple[Model, ProjectState | None, str]:
    """The model of a preset, the run that made its weights if one is shipped, and a message if its shipped weights
    could not be read.

    Raises ValueError or OSError if the preset named cannot be opened.
    """
    from engine.documents import preset, shipped_model, shipped_run

    try:
        chosen = preset(name or "default")
        recorded = shipped_run(chosen.name)
        model = shipped_model(chosen.name) if recorded is None else recorded.document.models[0]
        return model, recorded, ""
    except (ValueError, OSError) as error:
        if name is not None:
            raise
        return shipped_model("walkthrough"), None, f"The walk-through network is shown instead: {error}"


def save_screenshot(app: QApplication, window: MainWindow, path: Path) -> int:
    """Show the window until it has painted a prediction, save a picture of it, and close it."""
    from PySide6.QtCore import QTimer

    from xo_gui.window import png_bytes, write_file

    exit_codes: list[int] = []
    latencies: list[float] = []

    def painted(latency: float) -> None:
        """Request again after the first painting, whose times are those of a cold start; save the second."""
        latencies.append(latency)
        if len(latencies) == 1:
            QTimer.singleShot(SETTLE_MS, window, window.send_request)
        elif len(latencies) == 2:
            QTimer.singleShot(SETTLE_MS, window, save)

    def save() -> None:
        try:
            write_file(path, png_bytes(window.grab().toImage()))
            exit_codes.append(0)
        except (ValueError, OSError) as error:
            print(f"xo-gui: {error}", file=sys.stderr)
            exit_codes.append(1)
        window.close()

    def give_up() -> None:
        print("xo-gui: the network did not respond in time, so there is no picture.", file=sys.stderr)
        exit_codes.append(1)
        window.close()

    window.shown.connect(painted)
    QTimer.singleShot(TIMEOUT_MS, window, give_up)
    window.show()
    app.exec()
    return exit_codes[0] if exit_codes else 1


def save_animation(app: QApplication, window: MainWindow, path: Path) -> int:
    """Train while recording the window, save the recording, and close the window."""
    from PySide6.QtCore import QTimer

    from xo_gui.window import WindowRecorder

    try:
        animation = WindowRecorder(window, path)
    except ValueError as error:
        print(f"xo-gui: {error}", file=sys.stderr)
        window.close()
        return 1
    animation.finished.connect(window.close)
    window.show()
    QTimer.singleShot(SETTLE_MS, animation, animation.start)
    app.exec()
    if animation.error:
        print(f"xo-gui: {animation.error}", file=sys.stderr)
    return int(bool(animation.error))


if __name__ == "__main__":
    sys.exit(main())
