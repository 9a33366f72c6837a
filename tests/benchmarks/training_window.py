"""Training in the real window: `python3 -m tests.benchmarks.training_window [--steps N] [--rounds N]`.

Presses Train on the default network, and prints when the accuracy on the held-out drawings reached 99 %; while
drawing with real mouse events, the time from each to the painted picture, and how late a timer of 10 ms was in
the window's thread; how many steps a second the window makes beside what the loop of `xo train` makes of the
same run, in turns; and, after --steps steps, the time from each movement on the timeline to the painted picture.
It only measures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.real_window import draw, last_snapshot, open_window, set_up, strokes, table, wait

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from engine.nn import Model
    from engine.runtime import TrainingReport, TrainingRequest
    from xo_gui.state import Command

PROBE_SECONDS, TURN_SECONDS, DRAGS = 0.010, 4.0, 200


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="before the timeline is dragged")
    parser.add_argument("--rounds", type=int, default=3, help="of the window beside xo train")
    parser.add_argument("--size", default="1280x800")
    args, app = set_up("tests.benchmarks.training_window", parser, "default network, batches of 64; {size}")
    bench = Bench(app, args.size)
    bench.reach_99()
    bench.beside_the_command_line(args.rounds)
    bench.train_to(args.steps)
    bench.drag()
    bench.close()
    return 0


class Probe:
    """A timer in the window's thread that writes down how late it is, in seconds."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.late: list[float] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._rang)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While something else runs."""
        self.late.clear()
        self._due = perf_counter() + PROBE_SECONDS
        self._timer.start(round(1000 * PROBE_SECONDS))
        yield
        self._timer.stop()

    def _rang(self) -> None:
        now = perf_counter()
        self.late.append(max(0.0, now - self._due))
        self._due = now + PROBE_SECONDS


class Bench:
    """The window, and what is done with it."""

    def __init__(self, app: QApplication, size: str) -> None:
        from xo_gui.views.training import TimelineView

        self.window = open_window(app, "default", size)
        self.line = next(view for view in self.window.views if isinstance(view, TimelineView))
        self.latencies: list[float] = []
        self._asked_at = 0.0
        self.window.shown.connect(self._note)
        self.window.show()
        wait(1.0)

    def close(self) -> None:
        """End it."""
        self.window.close()

    def _note(self, latency: float) -> None:
        """Of all pictures that answer one event, the first counts."""
        asked_at = last_snapshot(self.window).requested_at
        if asked_at != self._asked_at:
            self._asked_at = asked_at
            self.latencies.append(latency)

    @property
    def training(self) -> TrainingReport:
        """The last report."""
        report = last_snapshot(self.window).training
        assert report is not None, "there is no training run"
        return report

    def execute(self, command: Command) -> None:
        """What a button of the training panel does."""
        self.window.training.execute(command)

    def reach_99(self) -> None:
        """From pressing Train until an epoch's evaluation says 99 %; then strokes while training continues."""
        from xo_gui.state import Start

        for stroke in strokes()[:2]:
            draw(self.window.drawing_view.canvas, stroke)
        begun, probe = perf_counter(), Probe()
        self.execute(Start())
        while self.accuracy < 0.99 and perf_counter() - begun < 60:
            wait(0.05)
        passed = perf_counter() - begun
        step = self.training.current_point.step
        print(f"{self.accuracy:.2%} on the held-out drawings {passed:.1f} s after Train, at step {step:,}.")
        self.train_for_long()
        self.latencies.clear()
        with probe.listening():
            self.draw_until(lambda: len(self.latencies) > 1000)
        table("stroke to painted picture while training", self.latencies)
        table(f"lateness of a timer of {1000 * PROBE_SECONDS:.0f} ms meanwhile", probe.late)

    def train_for_long(self) -> None:
        """The measurements that follow need more epochs than the window starts with."""
        from dataclasses import replace

        from xo_gui.state import SetConfig

        self.execute(SetConfig(replace(self.window.training.settings.config, epochs=1000)))

    @property
    def accuracy(self) -> float:
        """On the held-out drawings, at the last evaluation of the branch in training; 0 before the first."""
        report, request = last_snapshot(self.window).training, self.window.training.request
        if report is None or request is None or report.run_id != request.run_id or report.current_point.branch < 0:
            return 0.0
        accuracies = report.branches[report.current_point.branch].curves.held_out_accuracies
        return float(accuracies[-1]) if len(accuracies) else 0.0

    def draw_until(self, done: Callable[[], bool]) -> None:
        """X and O again and again."""
        while not done():
            for stroke in strokes():
                draw(self.window.drawing_view.canvas, stroke)
                if done():
                    break
            self.window.drawing_view.clear()

    def beside_the_command_line(self, rounds: int) -> None:
        """Steps a second of both, in turns: the window, without drawing, and the loop of xo train."""
        import numpy as np

        from xo_gui.state import Pause, Start

        request = self.window.training.request
        assert request is not None, "there is no training run"
        model = last_snapshot(self.window).predictions[0].model
        alone, ratios = Alone(self.training, request, model), []
        for _ in range(rounds):
            self.execute(Start())
            wait(0.5)
            first, begun = self.training.current_point.step, perf_counter()
            wait(TURN_SECONDS)
            shown = (self.training.current_point.step - first) / (perf_counter() - begun)
            self.execute(Pause())
            wait(0.5)
            loop = alone.speed(TURN_SECONDS)
            ratios.append(shown / loop)
            print(f"{shown:.0f} steps/s in the window, {loop:.0f} by xo train's loop: {shown / loop:.2f}")
        print(f"The window keeps {np.median(ratios):.0%} of xo train's speed (median of {rounds}).")

    def train_to(self, steps: int) -> None:
        """Continue to a step, without drawing."""
        from xo_gui.state import Pause, Start

        self.execute(Start())
        busy = ("running", "paused", "preparing")
        while self.training.current_point.step < steps and self.training.state in busy:
            wait(0.2)
        self.execute(Pause())
        wait(1.0)
        print(f"Trained to step {self.training.current_point.step:,} ({self.training.state}).")

    def drag(self) -> None:
        """Move along the timeline, a movement every 16 ms, and see when a picture of then is painted."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest

        probe, y = Probe(), self.line.height() // 4
        self.latencies.clear()
        QTest.mousePress(self.line, Qt.MouseButton.LeftButton, pos=QPoint(40, y))
        with probe.listening():
            for place in range(DRAGS):
                due = perf_counter() + 0.016
                share = abs((2 * place / DRAGS) % 2 - 1)
                QTest.mouseMove(self.line, QPoint(round(40 + share * (self.line.width() - 80)), y))
                wait(max(0.0, due - perf_counter()))
        QTest.mouseRelease(self.line, Qt.MouseButton.LeftButton, pos=QPoint(40, y))
        table("movement on the timeline to painted picture", self.latencies)
        table("lateness of the timer meanwhile", probe.late)


class Alone:
    """The loop of `xo train` on the window's examples and configuration, without any window's work."""

    def __init__(self, training: TrainingReport, request: TrainingRequest, model: Model) -> None:
        from engine.backends import choose_backend
        from engine.data import FixedSource
        from engine.training import Trainer

        assert training.examples is not None, "the examples are not made yet"
        source, backend = FixedSource(training.examples), choose_backend("cpu")
        values = model.parameters  # how many values are 0, and so the speed, changes as a network learns
        trainer = Trainer(model.network, source, request.config, backend, values, training.held_out)
        self._trainer, self._events = trainer, trainer.run()

    def speed(self, seconds: float) -> float:
        """Steps a second."""
        from engine.backends import one_blas_thread

        first, begun = self._trainer.steps_made, perf_counter()
        with one_blas_thread():
            while perf_counter() - begun < seconds:
                for _ in islice(self._events, 20):
                    pass
        return (self._trainer.steps_made - first) / (perf_counter() - begun)


if __name__ == "__main__":
    sys.exit(main())
