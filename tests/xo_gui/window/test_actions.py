"""The table of actions: what is made from a row, and that rows do not contradict each other."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton

from tests.xo_gui.conftest import Hand, OpenWindow
from xo_gui.window import menus
from xo_gui.window.actions import ACTIONS, MENUS, PANEL_KEYS, ActionSpec, ActionWindow

done: list[str] = []


def draw_toy(window: ActionWindow) -> None:
    done.append(window.theme_name)


TOY = ActionSpec(
    "toy", "explain", "To&y of the tests…", "Do what only the tests do", draw_toy, ("Ctrl+Alt+Y",), section=7,
    enabled=lambda state: not state.comparing, checked=lambda state: len(done) == 1,
)  # fmt: skip


def listed(hand: Hand) -> list[str]:
    """The texts of the dialog that lists the keys."""
    hand.window.show_keys()
    dialog = QApplication.activeModalWidget()
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    dialog.close()
    return texts


def test_an_action_is_one_row_of_the_table(
    open_window: OpenWindow, qtbot: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(menus, "ACTIONS", (TOY, *ACTIONS))
    hand = Hand(open_window("--preset", "default"), qtbot)
    hand.settle()
    menu = next(one.menu() for one in hand.window.menuBar().actions() if one.text() == "E&xplain")
    line, action = menu.actions()[-2:]
    assert line.isSeparator()
    assert (action.text(), action.statusTip()) == ("To&y of the tests…", "Do what only the tests do")
    assert action.isCheckable()
    QTest.keyClick(hand.window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier)
    assert done == ["dark"]
    assert action.isChecked()
    action.trigger()
    assert done == ["dark", "dark"]
    assert not action.isChecked()
    hand.window.menus.actions["compare-current"].trigger()
    assert not action.isEnabled()
    hand.window.session.undo_stack.undo()
    assert action.isEnabled()
    texts = listed(hand)
    assert texts[texts.index("Ctrl+Alt+Y") + 1] == "Toy of the tests…"
    # What is chosen and checked already stays checked.
    for name in ("preset-default", "preset-default", "theme-dark"):
        hand.window.menus.actions[name].trigger()
        assert hand.window.menus.actions[name].isChecked()


def test_every_row_has_a_menu_a_mnemonic_a_tip_and_keys_of_its_own_and_is_listed(hand: Hand) -> None:
    owners: dict[str, str] = {}
    letters: dict[tuple[str, str], str] = {}
    made = hand.window.menus.actions
    known = {spec.id for spec in MENUS}
    for name, action in made.items():
        assert action.statusTip(), name
        assert action.spec.menu in known or action.spec.keys, name
        for keys in action.shortcuts():
            assert owners.setdefault(keys.toString(), name) == name
        if "&" in action.text() and not name.startswith("preset-"):  # the titles of those are data
            letter = action.text()[action.text().index("&") + 1].lower()
            assert letters.setdefault((action.spec.menu, letter), name) == name
    ids = [row.id for row in ACTIONS if isinstance(row, ActionSpec)]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(made)
    assert {spec.above for spec in MENUS} - {""} <= set(ids)
    texts = listed(hand)
    for action in made.values():
        if action.shortcuts():
            assert menus.plain(menus.translated(action.spec.text, action.spec.about)) in texts
    assert {row.meaning for row in PANEL_KEYS} <= set(texts)
    tips = {button.toolTip() for button in hand.window.findChildren(QPushButton)}
    assert {"Choose the part of the picture to keep (Ctrl+K)", "Train or pause (Ctrl+Return)"} <= tips
