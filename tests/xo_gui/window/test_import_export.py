"""Drops and the clipboard: files and pictures are opened, and anything else is named in a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QByteArray, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QClipboard, QDragEnterEvent, QDropEvent, QImage
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QWidget

from engine.formats import decode_picture
from tests.xo_gui.conftest import Hand, OpenWindow
from xo_gui.app import Preferences
from xo_gui.widgets import distinct_names
from xo_gui.window.mime_content import ink_of_image, mime_content

CLEAR = np.zeros((40, 40, 4), np.uint8)
CLEAR[8:32, 18:22] = (0, 0, 0, 255)


def png(mode: str = "RGBA") -> bytes:
    """A vertical line: black on clear, or white on black in a mode without transparency."""
    ink = CLEAR[..., 3]
    image = Image.fromarray(ink.astype(np.uint16) * 201 if mode == "I;16" else ink)
    file = io.BytesIO()
    (Image.fromarray(CLEAR).convert(mode) if mode in ("RGBA", "LA", "P") else image).save(file, "PNG")
    return file.getvalue()


def mime(**parts: object) -> QMimeData:
    data = QMimeData()
    for name, value in parts.items():
        if name == "urls":
            data.setUrls([QUrl(str(url)) for url in value])
        elif name == "text":
            data.setText(str(value))
        elif name == "image":
            data.setImageData(QImage.fromData(QByteArray(value)))
        else:
            data.setData(name.replace("_", "/"), QByteArray(value))
    return data


def drop_on(widget: QWidget, data: QMimeData, actions: Qt.DropAction = Qt.DropAction.CopyAction) -> QDropEvent:
    buttons, keys, place = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPointF(5, 5)
    entering = QDragEnterEvent(place.toPoint(), actions, data, buttons, keys)
    QApplication.sendEvent(widget, entering)
    assert entering.isAccepted()
    event = QDropEvent(place, actions, data, buttons, keys)
    if actions & Qt.DropAction.MoveAction:
        event.setDropAction(Qt.DropAction.MoveAction)  # as some file managers propose
    QApplication.sendEvent(widget, event)
    return event


def paste(hand: Hand, data: QMimeData) -> None:
    QApplication.clipboard().setMimeData(data)
    hand.window.import_export.paste()
    QApplication.clipboard().clear()  # Qt would delete the data of Python after Python has


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "I;16"])
def test_a_picture_of_any_kind_of_pixels_is_pasted_as_it_is_opened(mode: str) -> None:
    data = png(mode)
    opened = decode_picture(data, "a.png")
    assert opened.max() > 0.5, "there is ink"
    assert np.array_equal(ink_of_image(QImage.fromData(QByteArray(data))), opened)


def test_paste_without_a_clipboard_says_that_there_is_nothing_to_paste(hand: Hand, monkeypatch) -> None:
    monkeypatch.setattr(QClipboard, "mimeData", lambda *_: None)
    hand.window.import_export.paste()
    assert "no picture to paste" in hand.window.statusBar().currentMessage()


def test_what_is_dropped_or_pasted_is_opened_or_named(hand: Hand, tmp_path: Path) -> None:
    window, path = hand.window, tmp_path / "a&b.png"
    path.write_bytes(png())
    local, address = QUrl.fromLocalFile(str(path)).toString(), "https://example.org/cross.png"
    encoded = bytes(QByteArray(png()).toBase64().data()).decode()
    shown: list[Callable[[], QMimeData]] = [
        lambda: mime(urls=[local]),
        lambda: mime(urls=[address, local]),
        lambda: mime(text=local),
        lambda: mime(text=str(path)),
        lambda: mime(**{"x-special_gnome-copied-files": f"copy\n{local}".encode()}),
        lambda: mime(image=png()),
        lambda: mime(image=png(), urls=[address]),
        lambda: mime(image_png=png(), text=address),
        lambda: mime(urls=[f"data:image/png;base64,{encoded}"]),
    ]
    for make in shown:
        for give in (lambda data: paste(hand, data), lambda data: drop_on(window, data)):
            window.drawing_view.clear()
            give(make())
            hand.qtbot.waitUntil(lambda: window.session.document.input.source.image is not None, timeout=5000)
            assert window.session.document.input.source.image[20, 20] == 1
            hand.qtbot.waitUntil(lambda: window.statusBar().currentMessage().endswith("Crop are below it."))
    named = {
        "address, and this program uses no network": mime(urls=[address], text="a cross"),
        "https://example.org": mime(text=address),
        "text and no picture": mime(text="hello there"),
        "no picture to paste": QMimeData(),
        "damaged": mime(image_png=png()[:60]),
    }
    for words, data in named.items():
        document = window.session.document
        drop_on(window, data)
        assert words in window.statusBar().currentMessage()
        assert window.session.document is document


def test_drops_reach_the_window_from_every_panel_and_never_move_the_file(hand: Hand, tmp_path: Path) -> None:
    path, window = tmp_path / "a.png", hand.window
    path.write_bytes(png())
    local = QUrl.fromLocalFile(str(path)).toString()
    dock = window.panels.all[0]
    dock.setFloating(True)
    either = Qt.DropAction.MoveAction | Qt.DropAction.CopyAction
    for widget in (dock, window):
        window.drawing_view.clear()
        event = drop_on(widget, mime(urls=[local], text=local), either)
        assert event.dropAction() == Qt.DropAction.CopyAction
        hand.qtbot.waitUntil(lambda: window.session.document.input.source.image is not None, timeout=5000)
    assert not any(edit.acceptDrops() for edit in window.findChildren(QLineEdit))


def test_an_empty_file_name_in_the_text_is_no_file() -> None:
    assert mime_content(mime(text="  \n ")).paths == ()


def test_names_are_shown_as_they_are(hand: Hand, tmp_path: Path) -> None:
    window = hand.window
    folders = [tmp_path / "a" / "same", tmp_path / "b" / "same", tmp_path / "c"]
    names = ["R&D.png", "R&D.png", "R&D.png", "<b>.png"]
    for folder, name in zip([*folders, tmp_path], names, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png())
        before = window.session.document
        window.import_export.open_path(folder / name)
        hand.qtbot.waitUntil(lambda before=before: window.session.document is not before, timeout=5000)
    window.import_export.fill_recent()
    shown = [action.text() for action in window.menus.menus["recent"].actions()[:4]]
    assert shown == ["<b>.png", "R&&D.png — c", "R&&D.png — b/same", "R&&D.png — a/same"]
    assert "&lt;b&gt;.png" in window.statusBar().toolTip()
    undo = next(action for action in window.findChildren(QAction) if "&Undo" in action.text())
    window.session.undo_stack.undo()
    assert undo.text() == "&Undo Open R&&D.png"
    assert undo.isEnabled()
    named = [label for part in (window.statusBar(), window.votes_view) for label in part.findChildren(QLabel)]
    assert len(named) > 4
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in named)


def test_equal_file_names_are_told_apart_by_as_few_folders_as_it_takes() -> None:
    paths = [Path("/a/b/x.png"), Path("/c/b/x.png"), Path("/c/d/x.png"), Path("/c/y.png")]
    assert distinct_names(paths) == ["x.png — a/b", "x.png — c/b", "x.png — d", "y.png"]
    assert distinct_names([Path("x.png"), Path("x.png")]) == ["x.png", "x.png"]


def test_what_killed_saves_left_beside_recent_files_is_removed_at_the_start(
    tmp_path: Path, open_window: OpenWindow, qtbot
) -> None:
    names = (".mine.safetensors.0123456789ab.saving", ".mine.saving", "other.0123456789ab.saving")
    paths = [tmp_path / "models" / name for name in names]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_bytes(b"half")
    Preferences().add_recent(tmp_path / "models" / "mine.safetensors")
    Preferences().add_recent(tmp_path / "unmounted" / "a.png")
    open_window()
    qtbot.waitUntil(lambda: not paths[0].exists(), timeout=5_000)
    assert all(path.exists() for path in paths[1:])


def test_a_saved_network_is_a_recent_file(hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.safetensors"
    monkeypatch.setattr("xo_gui.window.import_export.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))
    hand.window.import_export.ask_save_model()
    assert Preferences().recent[0] == path
