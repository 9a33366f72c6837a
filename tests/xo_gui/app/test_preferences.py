"""The settings file: whatever is in it, the program starts, and what was ignored is said."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, Qt
from PySide6.QtTest import QTest

from tests.conftest import Effort
from tests.xo_gui.conftest import OpenWindow
from xo_gui.app import Preferences, SavedLayout
from xo_gui.app.preferences import FOLDS_LIMIT, settings_path
from xo_gui.state import CellRef, Selection
from xo_gui.views.network import NetworkView
from xo_gui.window import MainWindow

pytestmark = pytest.mark.expects_log
OLD_FILE = Path(__file__).with_name("damaged-panels.ini")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file in a configuration folder of its own; it does not exist yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = settings_path()
    path.parent.mkdir(parents=True)
    return path


def written(path: Path) -> dict[str, object]:
    """What the file holds after a session with a theme, two recent files and a layout."""
    preferences = Preferences()
    preferences.theme = "light"
    preferences.add_recent(Path("/a/first.png"))
    preferences.add_recent(Path("/a/second.png"))
    preferences.layout = SavedLayout.of(QByteArray(b"geometry"), QByteArray(b"panels"))
    return json.loads(path.read_text())


def test_what_is_folded_of_a_network_comes_back(path: Path, open_window: OpenWindow, qtbot: object) -> None:
    def view_of_new_window(preset: str) -> NetworkView:
        view = open_window("--preset", preset, "--size", "1920x1080").network_view
        qtbot.waitUntil(lambda: view.isVisible() and bool(columns(view)))
        return view

    def columns(view: NetworkView) -> list[int]:
        return [] if not view._strips or view._strips[0].layout is None else view_columns(view)

    def view_columns(view: NetworkView) -> list[int]:
        return [column.display.layer for column in view._strips[0].layout.columns]

    view = view_of_new_window("walkthrough")
    assert 2 in columns(view), "where there is room, ReLU has a column"
    view.setFocus()
    view.set_selection(Selection(CellRef(2, 0, 1, 1), None))
    QTest.keyClick(view, Qt.Key.Key_F)
    assert 2 not in columns(view)
    assert 2 not in columns(view_of_new_window("walkthrough"))
    assert 2 in columns(view_of_new_window("default")), "each network has its own"
    assert json.loads(path.read_text())["folds"] == {"Walk-through": {"relu-1": True}}


def test_what_is_folded_is_kept_of_the_latest_networks(path: Path) -> None:
    preferences = Preferences()
    for number in range(FOLDS_LIMIT + 2):
        preferences.remember_folds(f"network {number}", {"relu-1": True})
    preferences.remember_folds("x" * 300, {"relu-1": True})
    found = Preferences()
    assert (len(found.folds), found.problems) == (FOLDS_LIMIT, [])
    assert list(found.folds)[-1] == f"network {FOLDS_LIMIT + 1}"


def test_settings_come_back(path: Path) -> None:
    written(path)
    found = Preferences()
    assert (found.theme, found.problems) == ("light", [])
    assert found.recent == [Path("/a/second.png"), Path("/a/first.png")]
    assert found.layout is not None
    assert (found.layout.geometry, found.layout.panels) == (b"geometry", b"panels")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", "mauve"),
        ("theme", 7),
        ("recent", {"a": 1}),
        ("recent", None),
        ("layout", "AAAA"),
        ("folds", {"Default": {"relu-1": "yes"}}),
        ("folds", {"x" * 201: {}}),
        ("layout", {"geometry": "no base 64!", "panels": ""}),
        ("code", "@Variant(PySide::PyObjectWrapper)"),
    ],
)
def test_damaged_or_unknown_part_is_named_and_the_others_are_used(path: Path, name: str, value: object) -> None:
    whole = written(path)
    path.write_text(json.dumps(whole | {name: value}))
    found = Preferences()
    assert len(found.problems) == 1
    assert found.problems[0].endswith(f"not used: {name}.")
    assert found.theme == ("system" if name == "theme" else "light")
    assert bool(found.recent) == (name != "recent")
    assert (found.layout is None) == (name == "layout")


def test_of_the_recent_files_only_the_damaged_one_is_lost(path: Path) -> None:
    path.write_text(json.dumps({"recent": ["/a", 5, "", "/b\0", ["/c"], "/d"]}))
    found = Preferences()
    assert found.recent == [Path("/a"), Path("/d")]
    assert found.problems[0].endswith("not used: recent.")


@pytest.mark.parametrize("part", ["geometry", "panels", "checksum"])
def test_layout_with_one_changed_byte_is_not_restored(path: Path, part: str) -> None:
    whole = written(path)
    layout = whole["layout"]
    assert isinstance(layout, dict)
    text = layout[part]
    layout[part] = ("B" if text[0] != "B" else "C") + text[1:]
    path.write_text(json.dumps(whole))
    found = Preferences()
    assert found.layout is None
    assert found.theme == "light"
    assert found.problems == ["The layout of the window was damaged; it is the standard one now."]


@pytest.mark.parametrize("part", ["qt", "program"])
def test_layout_of_another_version_is_not_restored(path: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written(path)
    other = {"qt": "qVersion", "program": "version"}[part]
    monkeypatch.setattr(f"xo_gui.app.preferences.{other}", lambda *_: "1.2.3")
    found = Preferences()
    assert found.layout is None
    assert "saved by another version" in found.problems[0]


def test_no_damage_to_the_file_stops_the_start(path: Path, effort: Effort) -> None:
    written(path)
    whole, rng = path.read_bytes(), random.Random(3)
    damaged = [b"", b"null", b"[]", b"\xff\xfe", b'{"recent":' + b"[" * 100_000, whole[:-1], whole + whole]
    for _ in range(effort(200, 50_000)):
        mutant = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            mutant[rng.randrange(len(mutant))] = rng.randrange(256)
        damaged.append(bytes(mutant))
    for content in damaged:
        path.write_bytes(content)
        found = Preferences()
        assert found.theme in ("system", "dark", "light")
        layout = found.layout
        assert layout is None or (layout.geometry, layout.panels) == (b"geometry", b"panels")
        assert all(problem.endswith(".") and "\n" not in problem for problem in found.problems)


def test_a_folder_in_place_of_the_file_is_said_and_nothing_is_kept(path: Path) -> None:
    path.mkdir()
    found, said = Preferences(), []
    assert "is a folder" in found.problems[0]
    found.message.connect(said.append)
    found.theme = "dark"
    found.add_recent(Path("/a"))
    assert (found.theme, found.recent) == ("dark", [Path("/a")])
    assert len(said) == 1
    assert "was not saved" in said[0]


def test_two_windows_keep_each_other_s_recent_files(path: Path) -> None:
    one, other = Preferences(), Preferences()
    one.add_recent(Path("/a"))
    other.add_recent(Path("/b"))
    one.theme = "light"
    assert Preferences().recent == [Path("/b"), Path("/a")]


def test_a_name_that_is_not_unicode_is_not_listed(path: Path) -> None:
    preferences = Preferences()
    preferences.add_recent(Path("/a/\udcff.png"))
    assert preferences.recent == []


@pytest.fixture
def open_kept(open_window: OpenWindow, monkeypatch: pytest.MonkeyPatch) -> OpenWindow:
    """Opens the window without a given size, as a person does: its layout is restored and kept."""
    monkeypatch.setattr("tests.xo_gui.conftest.SIZE", ())
    return open_window


def sentence(window: MainWindow) -> str:
    return window.statusBar().toolTip()


def test_the_old_settings_file_is_never_read(path: Path, open_kept: OpenWindow) -> None:
    """Restoring the layout in it ended the process at every start."""
    old = path.with_name("xo-gui.ini")
    old.write_bytes(OLD_FILE.read_bytes().replace(b"[General]", b"[General]\ntheme=light"))
    content = old.read_bytes()
    damaged = written(path)
    layout = damaged["layout"]
    assert isinstance(layout, dict)
    path.write_text(json.dumps(damaged | {"theme": 3, "layout": layout | {"panels": "AAAA"}}))
    window = open_kept()
    assert "damaged or unknown and not used: theme." in sentence(window)
    assert "it is the standard one now." in sentence(window)
    window.panels.all[1].hide()
    window.close()
    assert old.read_bytes() == content
    assert Preferences().theme == "system"
    again = open_kept()
    assert again.panels.all[1].isHidden()
