"""Shows the window's screens at several widths, and prints what lies over something else or is cut off there:
`python -m tests.xo_gui.window.layout_screens PLAN`, in a child process for each scale of the screen.

PLAN: JSON of a list of (language, screen, widths). Each fault is a line of JSON, [language, screen, width, fault];
"done" ends. LAYOUT_PICTURES: a folder for pictures of the screens, to look at; LAYOUT_THEME: their
theme.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic

from PySide6.QtCore import QEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from engine.documents import ProjectSummary, preset, shipped_model
from engine.drawings import Drawing, Stroke
from engine.nn import Model, Network
from engine.nn.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU
from tests.xo_gui.lessons import DATA, STROKES
from tests.xo_gui.window.layout_faults import LongerLanguage, TextRecorder, faults_in
from xo_gui.__main__ import build_window, parse_arguments
from xo_gui.state import (
    CellRef,
    CompareWithCurrent,
    CompareWithPreset,
    OneStep,
    SessionOffer,
    SetData,
    StopComparing,
)
from xo_gui.views.compare import CompareView
from xo_gui.views.data import DataView
from xo_gui.views.inspector import InspectorView
from xo_gui.views.network import NetworkView
from xo_gui.views.step import StepView
from xo_gui.views.training import (
    BranchesView,
    CurvesView,
    HeldOutView,
    LayerStatisticsView,
    RobustnessView,
    SettingsView,
)
from xo_gui.views.votes import TemplateView
from xo_gui.window import MainWindow

HEIGHT = 800
THEME = os.environ.get("LAYOUT_THEME", "dark")
PATIENCE = 25  # looks at a screen before its faults count
LONG_NAME = "a class name of many, many letters, such as a folder of pictures may have"
WIDE = Network((1, 30, 30), (Conv2D(512, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(2)), classes=("X", "O"))
POINTS = Network((1, 9, 9), (Conv2D(4, 9), ReLU(), Conv2D(6, 1), ReLU(), Flatten(), Dense(2)), classes=("X", "O"))
BLOCK: tuple[Layer, ...] = (Conv2D(2, 3, padding="same"), ReLU(), MaxPool2D(1, 1))
DEEP = Network((1, 6, 6), (*BLOCK * 20, Flatten(), Dense(2)), classes=("X", "O"))


def of_classes(names: tuple[str, ...]) -> Network:
    return Network((1, 16, 16), (Conv2D(6, 5), ReLU(), MaxPool2D(2), Flatten(), Dense(len(names))), names)


TEN = of_classes(tuple("0123456789"))
TWENTY = of_classes((LONG_NAME, *(f"class {at}" for at in range(1, 19)), LONG_NAME + " of another kind"))
SMALL = Network((1, 8, 8), (Conv2D(1, 3), Flatten(), Dense(2)), classes=("X", "O"))


class Stage:
    """The window, and ways to bring it to a screen and to wait until it shows that."""

    def __init__(self, app: QApplication) -> None:
        self.app = app
        self.window: MainWindow = build_window(
            app, parse_arguments(["--device", "cpu", "--theme", THEME, "--size", f"1280x{HEIGHT}"])
        )
        self.window.show()
        self.draw()
        self.first_docks = self.docks_shown()

    def close(self) -> None:
        self.window.close()
        self.window.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def docks_shown(self) -> list[bool]:
        return [not dock.visibleRegion().isEmpty() for dock in self.window.panels.all]

    def draw(self) -> None:
        session = self.window.session
        session.edit(session.document.with_source(Drawing(tuple(map(Stroke, STROKES)))), "Pen stroke")
        self.settle()

    def use(self, model: Model) -> None:
        self.window.use_model(model)
        self.settle()

    def settle(self) -> None:
        """Wait until the Document on the screen is the present one."""
        window = self.window

        def shown() -> bool:
            return (
                window.last is not None
                and window.last.settled
                and window.last.input.source is window.session.document.input.source
                and tuple(one.model.network for one in window.last.predictions)
                == tuple(model.network for model in window.session.document.models)
            )

        self.until(shown)

    def until(self, condition: Callable[[], bool]) -> None:
        end = monotonic() + 20
        while not condition():
            QTest.qWait(5)
            if monotonic() > end:
                raise TimeoutError("the screen does not come")

    def train(self) -> None:
        """One step, so that all panels of training have something to show."""
        window = self.window
        window.training.execute(SetData(replace(window.training.settings.data, **DATA)))
        self.until(lambda: window.last is not None and window.last.training is not None)
        recorded = window.last.training.run_id
        window.training.execute(OneStep())

        def made() -> bool:
            report = window.last.training
            return window.training.is_stopped and report is not None and report.run_id > recorded

        self.until(made)
        self.settle()

    def reset(self) -> None:
        window = self.window
        for dialog in window.findChildren(QDialog):
            dialog.close()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        window.recovery_bar.show_offers(())
        window.network_view._search.dismiss()
        if self.docks_shown() != self.first_docks:
            window.reset_layout()
            window.panels.adapt_to_width(window.width())
        window.central_tabs.show_view(NetworkView)
        window.session.pin(None)
        if len(window.session.document.models) > 1:
            window.comparison.execute(StopComparing())
        self.settle()

    def view(self, kind: type) -> object:
        return next(view for view in self.window.views if isinstance(view, kind))


def inspect(stage: Stage, cell: CellRef, page: int) -> None:
    window = stage.window
    window.session.pin(cell)
    window.panels.show_panel(InspectorView)
    stage.view(InspectorView).tabs.setCurrentIndex(page)


def step(stage: Stage, phase: int | None, weight: bool = False) -> None:
    stage.window.central_tabs.show_view(StepView)
    view = stage.view(StepView)
    stage.until(lambda: view.trace is not None and view.trace.example_pass is not None)
    view.go_to(0)
    if phase is not None:
        view._go_to_phase(phase)
    view.select_weight(("conv2d-1.weight", (0, 0, 0, 0)) if weight else None)
    if weight:
        stage.until(lambda: view.trace.weight_trace is not None)


def compare(stage: Stage, other: object) -> None:
    stage.window.central_tabs.show_view(CompareView)
    stage.window.comparison.execute(other)
    stage.until(lambda: len(stage.window.session.document.models) == 2)
    stage.settle()


def offers(stage: Stage, count: int) -> None:
    summary = ProjectSummary(1.7e9, 12_345, was_running=True, was_closed=False, network="Trained for long")
    made = [SessionOffer(Path(f"{at}"), summary) for at in range(count)]
    stage.window.recovery_bar.show_offers(made)


def data(stage: Stage, page: int) -> None:
    stage.window.panels.show_panel(DataView)
    stage.view(DataView)._set_page(page)


def every_dock(stage: Stage) -> None:
    for dock in stage.window.panels.all:
        dock.show()


def message(stage: Stage) -> None:
    stage.window.show_message("A sentence about a file, " + 4 * "as long as sentences about files may be " + ".")


def panel(kind: type) -> Callable[[Stage], object]:
    return lambda stage: stage.window.panels.show_panel(kind)


FIRST: dict[str, Callable[[Stage], object]] = {
    "first": lambda stage: None,
    "search": lambda stage: stage.window.find_layer(),
    "ways to compare": lambda stage: stage.window.central_tabs.show_view(CompareView),
    "step without one": lambda stage: stage.window.central_tabs.show_view(StepView),
    "every dock": every_dock,
    "one offer": lambda stage: offers(stage, 1),
    "three offers": lambda stage: offers(stage, 3),
    "keys": lambda stage: stage.window.show_keys(),
    "about": lambda stage: stage.window.show_about(),
    "message": message,
    "nothing inspected": panel(InspectorView),
    "robustness": panel(RobustnessView),
    "templates": panel(TemplateView),
}
TRAINED: dict[str, Callable[[Stage], object]] = {
    "trained": lambda stage: None,
    "settings": panel(SettingsView),
    "held out": panel(HeldOutView),
    "branches": panel(BranchesView),
    "layer statistics": panel(LayerStatisticsView),
    "curves": panel(CurvesView),
    "data: own drawings": lambda stage: data(stage, 0),
    "data: generator": lambda stage: data(stage, 1),
    "data: batch": lambda stage: data(stage, 2),
    "value": lambda stage: inspect(stage, CellRef(1, 0, 5, 5), 0),
    "feature": lambda stage: inspect(stage, CellRef(1, 0, 5, 5), 1),
    "gradient": lambda stage: inspect(stage, CellRef(1, 0, 5, 5), 2),
    "profile": lambda stage: inspect(stage, CellRef(1, 0, 5, 5), 3),
    "vote": lambda stage: inspect(stage, CellRef(len(preset("default").network.layers), 0, 0, 0), 0),
    "stage of a feature": lambda stage: stage.window.show_stage(CellRef(4, 0, 5, 5)),
    "stage of a vote": lambda stage: stage.window.show_stage(CellRef(len(preset("default").network.layers), 0)),
    "step: forward": lambda stage: step(stage, 0),
    "step: update of a weight": lambda stage: step(stage, 3, True),
    "compare with a copy": lambda stage: compare(stage, CompareWithCurrent()),
    "compare with another": lambda stage: compare(stage, CompareWithPreset("walkthrough")),
}
OTHERS: dict[str, Callable[[Stage], object]] = {
    "walk-through": lambda stage: stage.use(shipped_model("walkthrough")),
    "hanuschkin": lambda stage: stage.use(shipped_model("hanuschkin")),
    "512 maps": lambda stage: stage.use(untrained(WIDE)),
    "512 maps compared": lambda stage: (stage.use(untrained(WIDE)), compare(stage, CompareWithPreset("default"))),
    "512 maps and a copy": lambda stage: (stage.use(untrained(WIDE)), compare(stage, CompareWithCurrent())),
    "1 x 1 features": lambda stage: stage.use(untrained(POINTS)),
    "1 x 1 features' weights": lambda stage: (
        stage.use(untrained(POINTS)),
        inspect(stage, CellRef(3, 0, 0, 0), 1),
    ),
    "1 x 1 features' values": lambda stage: (stage.use(untrained(POINTS)), inspect(stage, CellRef(3, 0, 0, 0), 0)),
    "many layers": lambda stage: stage.use(untrained(DEEP)),
    "many layers, some expanded": lambda stage: (
        stage.use(untrained(DEEP)),
        stage.window.session.pin(CellRef(30, 1, 2, 2)),
    ),
    "ten classes": lambda stage: stage.use(untrained(TEN)),
    "twenty long classes": lambda stage: stage.use(untrained(TWENTY, LONG_NAME)),
    "twenty classes compared": lambda stage: (stage.use(untrained(TWENTY)), compare(stage, CompareWithCurrent())),
    "stage of large features": lambda stage: (
        stage.use(shipped_model("hanuschkin")),
        stage.window.show_stage(CellRef(4, 0, 9, 9)),
    ),
    "few values": lambda stage: stage.use(untrained(SMALL)),
}
SCREENS = {**FIRST, **TRAINED, **OTHERS}


def untrained(network: Network, title: str = "Large") -> Model:
    return Model(title, network, network.initial_parameters(1))


def visits(stage: Stage, plan: list[tuple[str, list[int]]]) -> Iterator[tuple[str, int, QWidget]]:
    """Bring each screen to the front, in the order in which they can follow each other, and give it its widths."""
    order, trained = list(SCREENS), False
    for screen, widths in sorted(plan, key=lambda visit: order.index(visit[0])):
        if screen in TRAINED and not trained:
            stage.train()
            trained = True
        stage.window.resize(widths[0], HEIGHT)
        stage.reset()
        SCREENS[screen](stage)
        for width in widths:
            stage.window.resize(width, HEIGHT)
            QTest.qWait(0)
            dialogs = [one for one in stage.window.findChildren(QDialog) if one.isVisible()]
            yield screen, width, dialogs[0] if dialogs else stage.window


def lasting_faults(window: QWidget, recorder: TextRecorder) -> list[str]:
    """What is still wrong when the layout has had time to settle."""
    faults: list[str] = []
    for _ in range(PATIENCE):
        recorder.look_at(window)
        faults = faults_in(window, recorder)
        if not faults:
            break
        QTest.qWait(20)
    return faults


def main(plan: list[tuple[str, str, list[int]]]) -> None:
    app, pictures = QApplication([]), os.environ.get("LAYOUT_PICTURES")
    for language in dict.fromkeys(visit[0] for visit in plan):
        translator = LongerLanguage()
        if language == "longer":
            app.installTranslator(translator)
        stage = Stage(app)
        with TextRecorder() as recorder:
            chosen = [(screen, widths) for spoken, screen, widths in plan if spoken == language]
            for screen, width, shown in visits(stage, chosen):
                for fault in lasting_faults(shown, recorder):
                    print(json.dumps([language, screen, width, fault]), flush=True)
                if pictures:
                    shown.grab().save(f"{pictures}/{screen}-{width}-{language}.png".replace(" ", "-"))
        stage.close()
        app.removeTranslator(translator)
    print("done", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
