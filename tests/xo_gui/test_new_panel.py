"""A new panel is one view and a line in PANELS; one that needs something computed also a query, a job and a line in
JOBS. Two of them, added from here, are seen in the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QTabBar, QVBoxLayout

from engine.explain import Query
from engine.nn import Prediction
from engine.runtime import AnyQuery, Snapshot
from engine.runtime.job_context import JobContext
from engine.runtime.jobs import JOBS, JobKind
from engine.runtime.scheduler import Job, Policy
from tests.xo_gui.conftest import CIRCLE, X_ARMS, Hand, OpenWindow
from xo_gui.views import View
from xo_gui.views.training import CurvesView, FeatureHistoryView
from xo_gui.window.panels import PANELS, Panel

BOTTOM = Qt.DockWidgetArea.BottomDockWidgetArea


class LabelView(View):
    """A view of one label."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self.label = QLabel(self)
        QVBoxLayout(self).addWidget(self.label)


class NameView(LabelView):
    """Shows what is known: the name of the network."""

    title = "Name"

    def set_snapshot(self, snapshot: Snapshot) -> None:
        self.label.setText(snapshot.predictions[0].model.name if snapshot.predictions else "")


class InkView(LabelView):
    """Shows a number that has to be computed."""

    title = "Ink"

    def queries(self) -> frozenset[AnyQuery]:
        return frozenset({InkQuery()})

    def set_snapshot(self, snapshot: Snapshot) -> None:
        number = snapshot.result(InkQuery())
        self.label.setText("" if number is None else f"{number:.4f}")


@dataclass(frozen=True)
class InkQuery(Query[float]):
    """The weight of the ink: the mean size of the weights by the pixels of ink."""


class InkJob(Job):
    """Computes it. A blank drawing divides by 0."""

    runs: ClassVar[int] = 0

    def __init__(self, _: InkQuery, context: JobContext) -> None:
        self.source, self._prediction = context.source(), context.predictions[0]

    def has_same_inputs(self, previous: InkJob) -> bool:
        return np.array_equal(self._prediction.activations[0], previous._prediction.activations[0])

    def run(self) -> Iterator[float | None]:
        InkJob.runs += 1
        yield None
        yield weight_of_ink(self._prediction)


def weight_of_ink(prediction: Prediction) -> float:
    sizes = [float(np.abs(array).mean()) for array in prediction.model.parameters.values()]
    return sum(sizes) / int((prediction.activations[0] > 0).sum())


@pytest.fixture
def hand(open_window: OpenWindow, qtbot: object, monkeypatch: pytest.MonkeyPatch) -> Hand:
    """Draws in a window with both panels."""
    policy = Policy("Weight of the ink", while_drawing=True, share=0.5, min_interval=0.0)
    monkeypatch.setitem(JOBS, InkQuery, JobKind(InkJob, lambda query: policy))
    monkeypatch.setattr(InkJob, "runs", 0)
    added = (
        Panel("name", NameView, BOTTOM, tabbed_with=CurvesView),
        Panel("ink", InkView, BOTTOM, tabbed_with=FeatureHistoryView),
    )
    monkeypatch.setattr("xo_gui.window.main_window.PANELS", (*PANELS, *added))
    return Hand(open_window("--preset", "default"), qtbot)


def shown(hand: Hand, view: LabelView) -> str:
    """The text of the view, once it is that of the drawing and the weights."""
    hand.settle()

    def is_current() -> None:
        assert view.label.text() == f"{weight_of_ink(hand.window.last.predictions[0]):.4f}"

    hand.qtbot.waitUntil(is_current, timeout=9_000)
    return view.label.text()


@pytest.mark.expects_log
def test_a_new_panel_is_shown_computed_while_visible_and_its_fault_said_once(hand: Hand) -> None:
    window = hand.window
    said: list[str] = []
    window.session.notice_received.connect(lambda notice: said.append(notice.text))
    ink = next(view for view in window.views if isinstance(view, InkView))
    name = next(view for view in window.views if isinstance(view, NameView))
    # Each has a tab, and its line in the View menu.
    bars = window.findChildren(QTabBar)
    tabs = {bar.tabText(at) for bar in bars for at in range(bar.count())}
    assert {"Ink", "Name"} <= tabs
    assert {"Ink", "Name"} <= {action.text().replace("&", "") for action in window.menus.menus["panels"].actions()}
    # What is known is shown, and nothing is computed while the other tab is covered.
    hand.draw(X_ARMS)
    assert name.label.text() == window.session.document.models[0].name
    assert (InkJob.runs, ink.label.text()) == (0, "")
    # Visible, it follows the drawing and the weights.
    window.panels.show_panel(InkView)
    first = shown(hand, ink)
    hand.draw(CIRCLE)
    second = shown(hand, ink)
    model = window.session.document.models[0]
    doubled = {each: 2 * array for each, array in model.parameters.items()}
    window.use_model(replace(model, parameters=doubled))
    assert float(shown(hand, ink)) == pytest.approx(2 * float(second), abs=2e-4)
    assert first != second
    # What has been computed for these inputs is not computed again.
    runs = InkJob.runs
    window.send_request()
    hand.settle()
    window.panels.show_panel(FeatureHistoryView)
    hand.draw(X_ARMS)
    assert InkJob.runs == runs
    # A fault is said once, in one sentence with the panel's words; the number returns with the next drawing.
    window.panels.show_panel(InkView)
    shown(hand, ink)
    for _ in range(2):
        window.drawing_view.clear()
        hand.settle()
        hand.qtbot.waitUntil(lambda: ink.label.text() == "", timeout=9_000)
        hand.draw(X_ARMS)
        shown(hand, ink)
    assert [text for text in said if "Weight of the ink" in text] == said
    assert len(said) == 1
    assert "ZeroDivisionError" in said[0]
