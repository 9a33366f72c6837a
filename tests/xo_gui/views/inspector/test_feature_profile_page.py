"""The feature profile of a value in the real window: computed while visible, drawn on the canvas, stopped."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest

from engine.data import PoolSettings, TrainingData
from engine.data.xo import XOSettings
from engine.explain import ExplanationQuery
from engine.explain import feature_profile as liking
from tests.xo_gui.views.inspector.test_inspector_view import InspectorDriver
from xo_gui.state import CellRef
from xo_gui.views.inspector import feature_profile_page
from xo_gui.views.inspector.feature_profile_page import FeatureProfilePage
from xo_gui.views.inspector.sheet_blocks import CaptionedImage, ClassHistograms, Paragraph
from xo_gui.views.votes.votes_view import VoteBars


class ProfileDriver(InspectorDriver):
    """Opens the profile page and waits for its results."""

    @property
    def page(self) -> FeatureProfilePage:
        return self.panel.profile_page

    def open_page(self) -> None:
        tabs = self.panel.tabs
        at = next(at for at in range(tabs.count()) if tabs.tabText(at) == "Profile")
        QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(at).center())

    def shown_image(self) -> np.ndarray | None:
        return next(
            (block.image for block in self.page.image_sheet.blocks if isinstance(block, CaptionedImage)), None
        )

    def wait_until_done(self) -> None:
        def done() -> None:
            profile = self.page.profile
            assert profile is not None
            assert profile.progress == 1

        self.qtbot.waitUntil(done, timeout=60_000)
        self.qtbot.wait(20)

    def query_kind(self) -> str | None:
        kinds = [query.kind for query in self.window.visible_queries() if isinstance(query, ExplanationQuery)]
        return kinds[0] if kinds else None


@pytest.fixture
def driver(open_window, qtbot) -> ProfileDriver:
    return ProfileDriver(open_window("--preset", "walkthrough"), qtbot)


def test_a_click_shows_the_maximized_input_forming_and_nine_examples(
    driver: ProfileDriver,
) -> None:
    driver.click(CellRef(1, 1, 3, 3))
    driver.open_page()
    seen: set[bytes] = set()

    def formed() -> None:
        found = driver.shown_image()
        if found is not None:
            seen.add(found.tobytes())
        profile = driver.page.profile
        assert profile is not None
        assert profile.progress == 1

    driver.qtbot.waitUntil(formed, timeout=60_000)
    assert len(seen) >= 3  # intermediate images were shown
    found = driver.shown_image()
    assert found is not None
    cross = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    assert (np.sign(found) == cross).all()  # the article's small X
    assert (len(driver.page.top_examples.tiles), len(driver.page.bottom_examples.tiles)) == (9, 9)
    best = driver.page.profile.highest
    assert [one.value for one in best] == sorted((one.value for one in best), reverse=True)
    assert any(isinstance(block, ClassHistograms) for block in driver.page.facts_sheet.blocks)

    driver.qtbot.waitUntil(lambda: "Activated most by" in driver.panel.accessibleDescription(), timeout=5000)

    driver.page.scroll_area.ensureWidgetVisible(driver.page.patches_box)
    QTest.mouseClick(
        driver.page.patches_box, Qt.MouseButton.LeftButton, pos=QPoint(8, driver.page.patches_box.height() // 2)
    )
    assert all(
        tile.picture.shape == (3, 3)
        for tile in (*driver.page.top_examples.tiles, *driver.page.bottom_examples.tiles)
    )
    rows, columns = best[0].window
    patch = best[0].picture[rows.start : rows.stop, columns.start : columns.stop]
    np.testing.assert_array_equal(driver.page.top_examples.tiles[0].picture, patch)
    document, undo = driver.window.session.document, driver.window.session.undo_stack
    count = undo.count()
    driver.page.scroll_area.ensureWidgetVisible(driver.page.top_examples)
    QTest.mouseClick(
        driver.page.top_examples.viewport(),
        Qt.MouseButton.LeftButton,
        pos=driver.page.top_examples.tile_rect(0).center(),
    )
    np.testing.assert_array_equal(driver.window.session.document.input.source.image, best[0].picture)
    assert undo.count() == count + 1

    def excited() -> None:
        prediction = driver.window.last.predictions[0]
        assert float(prediction.activations[1][1].max()) == pytest.approx(best[0].value, abs=1e-5)

    driver.qtbot.waitUntil(excited, timeout=5000)
    assert driver.page.profile.progress == 1  # another drawing does not restart it
    undo.undo()
    assert driver.window.session.document.input.source is document.input.source


def test_a_vote_another_seed_stop_and_again(driver: ProfileDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    few = TrainingData(PoolSettings(XOSettings(side=9), count=200))
    monkeypatch.setattr(feature_profile_page, "_training_data", lambda settings: few)
    monkeypatch.setattr(liking, "ASCENT_INTERVAL", 0.005)
    bars = driver.window.votes_view.findChild(VoteBars)
    QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=QPoint(80, 12))
    assert driver.window.session.selection.pinned == CellRef(6, 0)
    actions = {action.text(): action for action in driver.window.findChildren(QAction)}
    actions["&Maximally activating input"].trigger()
    driver.qtbot.waitUntil(lambda: driver.shown_image() is not None, timeout=5000)
    driver.wait_until_done()
    assert [one.label for one in driver.page.profile.highest].count("X") >= 7
    first = driver.shown_image()
    QTest.mouseClick(driver.page.seed_button, Qt.MouseButton.LeftButton)
    driver.qtbot.waitUntil(lambda: driver.shown_image() is not None, timeout=5000)
    driver.wait_until_done()
    assert (driver.shown_image() != first).any()
    QTest.mouseClick(driver.page.stop_button, Qt.MouseButton.LeftButton)  # "Again"
    driver.qtbot.waitUntil(
        lambda: driver.shown_image() is not None and driver.page.profile.maximized_input.progress > 0, timeout=5000
    )
    assert driver.page.profile.maximized_input.progress < 1
    assert driver.page.stop_button.text() == "Stop"
    QTest.mouseClick(driver.page.stop_button, Qt.MouseButton.LeftButton)
    assert driver.query_kind() is None
    left = driver.shown_image()
    driver.qtbot.wait(300)
    assert (driver.shown_image() == left).all()
    assert driver.page.stop_button.text() == "Again"
    driver.window.session.pin(CellRef(6, 1))
    assert driver.query_kind() == "likes"
    driver.window.session.pin(CellRef(6, 0))
    assert driver.query_kind() == "likes"  # a stopped query restarts when its value is pinned again


def test_no_query_while_hidden_and_an_empty_page_says_what_to_do(driver: ProfileDriver) -> None:
    driver.panel.show()
    driver.window.panels.show_panel(type(driver.panel))
    driver.open_page()
    notes = [block.text for block in driver.page.image_sheet.blocks if isinstance(block, Paragraph)]
    assert notes
    assert "Click a value" in notes[0]
    assert not driver.page.seed_button.isVisible()
    assert driver.query_kind() is None
    driver.click(CellRef(0, 0, 4, 4))
    assert "pixel" in driver.page.image_sheet.blocks[0].text
    driver.click(CellRef(1, 0, 3, 3))
    assert driver.query_kind() == "likes"
    driver.panel.tabs.setCurrentIndex(0)
    assert driver.query_kind() != "likes"
    driver.open_page()
    assert driver.query_kind() == "likes"
    driver.window.panels.dock_of(type(driver.panel)).close()
    driver.qtbot.waitUntil(lambda: driver.query_kind() is None, timeout=2000)
