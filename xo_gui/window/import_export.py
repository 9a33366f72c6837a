"""Exchange: what comes into the window and goes out of it, by file and by clipboard. It reads no file itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject
from PySide6.QtGui import QAction, QGuiApplication, QImage, QImageWriter
from PySide6.QtWidgets import QApplication, QFileDialog

from engine.documents.model_file import save_model
from engine.documents.open_file import Opened, Opening
from engine.documents.project_file import SUFFIX, Work
from engine.formats.atomic_file import write_atomically
from engine.formats.pictures import SUFFIXES, as_ink
from engine.nn.layers import shape_text
from engine.nn.model import Subject
from xo_gui.app.preferences import Settings
from xo_gui.state.session import Session

if TYPE_CHECKING:
    from xo_gui.window.main_window import MainWindow

HostArray: TypeAlias = "np.ndarray[Any, Any]"


def put(image: QImage) -> None:
    """Copy a picture."""
    QGuiApplication.clipboard().setImage(image)


def take() -> HostArray:
    """The copied picture as ink (H, W) float32, -1 to 1. Raises ValueError if there is none."""
    image = QGuiApplication.clipboard().image()
    if image.isNull():
        raise ValueError("There is no picture to paste; copy one first.")
    grey = image.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(grey.constBits(), np.uint8).reshape(grey.height(), grey.bytesPerLine())
    return as_ink(rows[:, : grey.width()].astype(np.float32) / 255)


Save: TypeAlias = Callable[[], object]


def write(path: Path, data: bytes) -> None:
    """Write a whole file or nothing. Raises ValueError with one sentence."""
    write_atomically(path, data)


def png(image: QImage) -> bytes:
    """The picture as a PNG file's bytes."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not QImageWriter(buffer, QByteArray(b"png")).write(image):
        raise ValueError("The picture could not be turned into a PNG file.")
    return bytes(buffer.data().data())


class Exchange(QObject):
    """Opening, saving, copying and pasting, as the menus, drops and recent files ask for it."""

    def __init__(self, window: MainWindow, session: Session, settings: Settings) -> None:
        super().__init__(window)
        self._window, self._session, self._settings = window, session, settings
        self._beside: Opening | None = None
        self._first: Opening | None = None  # of several files that were dropped

    def open_path(self, path: Path, first: bool = False) -> None:
        """Open a picture as the drawing or a model as the network; a wrong file says so and changes nothing.
        first: of several, whose others are not opened, which is said too."""
        self._window.say(self.tr("Opening {0}…").format(path.name))
        opening = self._session.open(path)
        self._first = opening if first else None

    def show_opened(self, opened: Opened) -> None:
        """What came of a wish to open a file: a network, a picture, or a sentence."""
        name, found = opened.opening.path.name, opened.found
        if opened.opening == self._beside:
            self._put_beside(opened)
            return
        if self._window.recovery is not None and self._window.recovery.take(opened):
            return
        if found is None:
            self._say(opened, opened.trouble)
            return
        self._settings.remember(opened.opening.path)
        if isinstance(found, Subject):
            self._window.use_subject(found)
            shape = shape_text(found.network.input_shape)
            self._say(opened, self.tr("The network in {0} reads the drawing now, {1}.").format(name, shape))
        elif not isinstance(found, Work):
            self._window.drawing_view.put_image(found, self.tr("Open {0}").format(name))
            self._say(opened, self.tr("{0} is the drawing now.").format(name))

    def _say(self, opened: Opened, words: str) -> None:
        if opened.opening == self._first:
            words = self.tr("{0} One file at a time: the others were not opened.").format(words)
        self._window.say(words)

    def _put_beside(self, opened: Opened) -> None:
        """Compare with the network in a file; anything else changes nothing."""
        name, found = opened.opening.path.name, opened.found
        if isinstance(found, Subject):
            self._settings.remember(opened.opening.path)
            self._window.comparing.put(found)
        elif found is None:
            self._window.say(opened.trouble)
        else:
            said = self.tr("{0} holds no network to compare with; choose a model file (.safetensors).")
            self._window.say(said.format(name))

    def compare_with(self, path: Path) -> None:
        """Open a model to stand beside the network; a wrong file says so and changes nothing."""
        self._window.say(self.tr("Opening {0}…").format(path.name))
        self._beside = self._session.open(path)

    def ask_beside(self) -> None:
        """Ask which model to compare with."""
        kinds = self.tr("Models (*.safetensors);;All files (*)")
        name, _ = QFileDialog.getOpenFileName(self._window, self.tr("Compare with a model"), "", kinds)
        if name:
            self.compare_with(Path(name))

    def ask_open(self) -> None:
        """Ask which file to open."""
        pattern = " ".join(f"*{suffix}" for suffix in (*SUFFIXES, ".safetensors", SUFFIX))
        name, _ = QFileDialog.getOpenFileName(
            self._window, self.tr("Open"), "", self.tr("Pictures and models ({0});;All files (*)").format(pattern)
        )
        if name:
            self.open_path(Path(name))

    def fill_recent(self) -> None:
        """List the files opened lately; those that are gone are greyed."""
        menu = self._window.menus.recent
        menu.clear()
        for path in self._settings.recent:
            action = menu.addAction(path.name)
            action.setStatusTip(str(path))
            action.setData(str(path))
            action.setEnabled(path.exists())
            action.triggered.connect(self._recent_chosen)
        menu.addSeparator()
        forget = menu.addAction(self.tr("&Forget these"))
        forget.setStatusTip(self.tr("Empty this list; the files stay where they are"))
        forget.setEnabled(bool(self._settings.recent))
        forget.triggered.connect(self._settings.forget_recent)

    def _recent_chosen(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.open_path(Path(str(action.data())))

    def ask_save_drawing(self) -> None:
        """Ask where to save what the canvas shows."""
        if path := self._ask_path(self.tr("Save drawing"), "drawing.png", self.tr("Picture (*.png)")):
            self._write(path, png(self._window.drawing_view.picture()))

    def ask_save_window(self) -> None:
        """Ask where to save a picture of the window."""
        if path := self._ask_path(self.tr("Save picture"), "xo.png", self.tr("Picture (*.png)")):
            self._write(path, png(self._window.grab().toImage()))

    def ask_save_model(self) -> None:
        """Ask where to save the network."""
        subject = self._session.document.subjects[0]
        name = f"{subject.name.lower()}.safetensors"
        if path := self._ask_path(self.tr("Save network"), name, self.tr("Model (*.safetensors)")):
            self._report(path, lambda: save_model(path, subject))

    def _ask_path(self, title: str, name: str, kinds: str) -> Path | None:
        chosen, _ = QFileDialog.getSaveFileName(self._window, title, name, kinds)
        return Path(chosen) if chosen else None

    def _write(self, path: Path, data: bytes) -> None:
        self._report(path, lambda: write(path, data))

    def _report(self, path: Path, save: Save) -> None:
        try:
            save()
        except (ValueError, OSError) as error:
            self._window.say(str(error))
        else:
            self._window.say(self.tr("Saved {0}.").format(path.name))

    def copy(self) -> None:
        """Copy a picture of the panel that has the focus; of the drawing itself if it is the canvas's."""
        focused = QApplication.focusWidget()
        view = next((v for v in self._window.views if focused is not None and v.isAncestorOf(focused)), None)
        if view is None or view is self._window.drawing_view:
            put(self._window.drawing_view.picture())
            self._window.say(self.tr("The drawing is copied."))
        else:
            put(view.grab().toImage())
            self._window.say(self.tr("A picture of the panel {0} is copied.").format(view.title))

    def paste(self) -> None:
        """Make the copied picture the drawing."""
        try:
            self._window.drawing_view.put_image(take(), self.tr("Paste"))
        except ValueError as error:
            self._window.say(str(error))
