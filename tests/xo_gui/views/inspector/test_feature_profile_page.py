"""What a value likes, in the real window: clicked for, seen to form, put on the canvas, stopped; never unseen."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest

from engine.data.pool import Lesson, PoolSettings
from engine.data.xo.settings import XOSettings
from engine.explain import feature_profile as liking
from tests.xo_gui.views.inspector.test_inspector_view import Looker
from xo_gui.state.selection import Cell
from xo_gui.views.inspector import feature_profile_page
from xo_gui.views.inspector.feature_profile_page import LikesPage
from xo_gui.views.inspector.sheet_blocks import Note, Portrait, Spread
from xo_gui.views.votes.votes_view import VoteBars


class Fan(Looker):
    """Turns to the page of likes and waits for what it shows."""

    @property
    def page(self) -> LikesPage:
        return self.panel.likes_page

    def turn(self) -> None:
        tabs = self.panel.tabs
        at = next(at for at in range(tabs.count()) if tabs.tabText(at) == "Profile")
        QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(at).center())

    def portrait(self) -> np.ndarray | None:
        return next((block.picture for block in self.page.picture.blocks if isinstance(block, Portrait)), None)

    def finish(self) -> None:
        def done() -> None:
            likes = self.page.likes
            assert likes is not None
            assert likes.done == 1

        self.qtbot.waitUntil(done, timeout=60_000)
        self.qtbot.wait(20)

    def asked(self) -> str | None:
        question = self.window.session._question
        return None if question is None else question.kind


@pytest.fixture
def fan(open_window, qtbot) -> Fan:
    return Fan(open_window("--preset", "walkthrough"), qtbot)


def test_a_click_shows_the_picture_forming_and_nine_examples_that_can_be_drawn_and_undone(fan: Fan) -> None:
    fan.click(Cell(1, 1, 3, 3))
    fan.turn()
    seen: set[bytes] = set()

    def formed() -> None:
        found = fan.portrait()
        if found is not None:
            seen.add(found.tobytes())
        likes = fan.page.likes
        assert likes is not None
        assert likes.done == 1

    fan.qtbot.waitUntil(formed, timeout=60_000)
    assert len(seen) >= 3  # it was seen on the way
    found = fan.portrait()
    assert found is not None
    cross = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    assert (np.sign(found) == cross).all()  # the article's small X
    assert (len(fan.page.most.tiles), len(fan.page.least.tiles)) == (9, 9)
    best = fan.page.likes.most
    assert [one.value for one in best] == sorted((one.value for one in best), reverse=True)
    assert any(isinstance(block, Spread) for block in fan.page.facts.blocks)

    fan.qtbot.waitUntil(lambda: "Activated most by" in fan.panel.accessibleDescription(), timeout=5000)

    fan.page.area.ensureWidgetVisible(fan.page.patches)
    QTest.mouseClick(fan.page.patches, Qt.MouseButton.LeftButton, pos=QPoint(8, fan.page.patches.height() // 2))
    assert all(tile.picture.shape == (3, 3) for tile in (*fan.page.most.tiles, *fan.page.least.tiles))
    rows, columns = best[0].window
    patch = best[0].picture[rows.start : rows.stop, columns.start : columns.stop]
    np.testing.assert_array_equal(fan.page.most.tiles[0].picture, patch)
    document, undo = fan.window.session.document, fan.window.session.undo_stack
    count = undo.count()
    fan.page.area.ensureWidgetVisible(fan.page.most)
    QTest.mouseClick(fan.page.most, Qt.MouseButton.LeftButton, pos=fan.page.most.box(0).center())
    np.testing.assert_array_equal(fan.window.session.document.drawing.image, best[0].picture)
    assert undo.count() == count + 1

    def excited() -> None:
        reading = fan.window.last.readings[0]
        assert float(reading.outputs[1][1].max()) == pytest.approx(best[0].value, abs=1e-5)

    fan.qtbot.waitUntil(excited, timeout=5000)
    assert fan.page.likes.done == 1  # another drawing is no reason to begin anew
    undo.undo()
    assert fan.window.session.document.drawing is document.drawing


def test_a_vote_another_seed_stop_and_again(fan: Fan, monkeypatch: pytest.MonkeyPatch) -> None:
    few = Lesson(PoolSettings(XOSettings(side=9), count=200))
    monkeypatch.setattr(feature_profile_page, "_training_data", lambda settings: few)
    monkeypatch.setattr(liking, "ASCENT_INTERVAL", 0.005)
    bars = fan.window.votes_view.findChild(VoteBars)
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=QPoint(80, 12))
    assert fan.window.session.focus.pinned == Cell(6, 0)
    next(action for action in fan.window.findChildren(QAction) if action.text() == "What it li&kes").trigger()
    fan.qtbot.waitUntil(lambda: fan.portrait() is not None, timeout=5000)
    fan.finish()
    assert [one.label for one in fan.page.likes.most].count("X") >= 7
    first = fan.portrait()
    QTest.mouseClick(fan.page.seed_button, Qt.MouseButton.LeftButton)
    fan.qtbot.waitUntil(lambda: fan.portrait() is not None, timeout=5000)
    fan.finish()
    assert (fan.portrait() != first).any()
    QTest.mouseClick(fan.page.stop_button, Qt.MouseButton.LeftButton)  # "Again"
    fan.qtbot.waitUntil(lambda: fan.portrait() is not None and fan.page.likes.ascended.done > 0, timeout=5000)
    assert fan.page.likes.ascended.done < 1
    assert fan.page.stop_button.text() == "Stop"
    QTest.mouseClick(fan.page.stop_button, Qt.MouseButton.LeftButton)
    assert fan.asked() is None
    left = fan.portrait()
    fan.qtbot.wait(300)
    assert (fan.portrait() == left).all()
    assert fan.page.stop_button.text() == "Again"
    fan.window.session.pin(Cell(6, 1))
    assert fan.asked() == "likes"
    fan.window.session.pin(Cell(6, 0))
    assert fan.asked() == "likes"  # what was stopped begins anew when one comes back to it


def test_nothing_is_asked_unseen_and_an_empty_page_says_what_to_do(fan: Fan) -> None:
    fan.panel.show()
    fan.window.panels.bring(type(fan.panel))
    fan.turn()
    notes = [block.text for block in fan.page.picture.blocks if isinstance(block, Note)]
    assert notes
    assert "Click a value" in notes[0]
    assert not fan.page.seed_button.isVisible()
    assert fan.asked() is None
    fan.click(Cell(0, 0, 4, 4))
    assert "pixel" in fan.page.picture.blocks[0].text
    fan.click(Cell(1, 0, 3, 3))
    assert fan.asked() == "likes"
    fan.panel.tabs.setCurrentIndex(0)
    assert fan.asked() != "likes"
    fan.turn()
    assert fan.asked() == "likes"
    fan.window.panels.of(type(fan.panel)).close()
    fan.qtbot.waitUntil(lambda: fan.asked() is None, timeout=2000)
