"""Import and export: opening, saving, copying and pasting of drawings, models and pictures of the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMimeData, QObject, Signal
from PySide6.QtGui import QAction, QGuiApplication, QImage, QImageWriter
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu, QWidget

from engine.data import InputSample
from engine.documents import SUFFIX, OpenRequest, OpenResult, ProjectState, save_model
from engine.drawings import FloatArray
from engine.formats import PICTURE_SUFFIXES, remove_leftovers, write_atomically
from engine.nn import Model
from engine.nn.layers import shape_text
from xo_gui.app import Preferences
from xo_gui.state import Autosave, ComparisonController, Session, Statement, TrainingController
from xo_gui.views import View
from xo_gui.views.data import InputView
from xo_gui.widgets import distinct_names, menu_text
from xo_gui.window.mime_content import mime_content

Save: TypeAlias = Callable[[], object]


class ImportExport(QObject):
    """Opens, saves, copies and pastes for the menus and for dropped files.

    message(text): a sentence for the user. model_opened(model): a file's model is to replace the first one.
    picture_wanted: a picture of the window is about to be taken.
    recovery: set once autosave is running; it handles project files.
    """

    message = Signal(str)
    stated = Signal(object)
    picture_wanted = Signal()
    model_opened = Signal(object)

    def __init__(
        self,
        window: QWidget,
        session: Session,
        settings: Preferences,
        training: TrainingController,
        comparing: ComparisonController,
        views: Sequence[View],
        input_view: Callable[[], InputView],
    ) -> None:
        super().__init__(window)
        self._window, self._session, self._settings, self._training = window, session, settings, training
        self._comparing, self._views, self._input_view = comparing, views, input_view
        self.autosave: Autosave | None = None
        self._recent_menu: QMenu | None = None
        self._comparison_request: OpenRequest | None = None
        self._first_request: OpenRequest | None = None  # of several dropped files

    def remove_leftovers(self) -> None:
        """Remove what killed saves left beside recent files; in the background, because a disk may be slow."""
        folders = {path.parent for path in self._settings.recent}
        remove = partial(_remove_leftovers, sorted(folders))
        Thread(target=remove, name="leftovers", daemon=True).start()

    def open_path(self, path: Path, first: bool = False) -> None:
        """Open a picture as the drawing or a model as the network; an invalid file is only reported.

        first: whether it is the first of several, of which the others are not opened; the message says so.
        """
        opening = self._open(path)
        self._first_request = opening if first else None

    def _open(self, path: Path) -> OpenRequest:
        opening = self._session.open(path)
        text = self.tr("Opening {0}…").format(path.name)
        self.stated.emit(Statement(text, partial(self._session.is_opening, opening), stays=True))
        return opening

    def on_opened(self, opened: OpenResult) -> None:
        """Use the content of an opened file, or report the error."""
        name, found = opened.request.path.name, opened.content
        if opened.request == self._comparison_request:
            self._compare(opened)
            return
        if self.autosave is not None and self.autosave.accept(opened):
            return
        if found is None:
            self.message.emit(self._report(opened, opened.error))
            return
        self._settings.add_recent(opened.request.path)
        if isinstance(found, Model):
            self.model_opened.emit(found)
            shape = shape_text(found.network.input_shape)
            text = self.tr("The network of {0} is in use now, {1}.").format(name, shape)
            self.stated.emit(Statement(self._report(opened, text), partial(self._session.has_model, found)))
        elif not isinstance(found, ProjectState):
            self._use_input(opened, found)

    def _use_input(self, opened: OpenResult, sample: InputSample[Any]) -> None:
        """Make what was opened the input, unless the network reads another kind by now."""
        name, document = opened.request.path.name, self._session.document
        if not sample.has_source_of(document.kind):
            text = self.tr("{0} was read as one of the {1}, but the network reads {2} now; open it again.")
            self.message.emit(text.format(name, sample.kind.plural, document.kind.plural))
            return
        self._session.edit(document.with_input(sample), self.tr("Open {0}").format(name))
        self._state_input(self._report(opened, self._input_text(name)))

    def _use_picture(self, picture: FloatArray, text: str, name: str) -> None:
        """Make a picture (H, W) the input, where it can be one of the kind that the network reads."""
        document = self._session.document
        try:
            source = document.kind.from_picture(picture)
        except ValueError as error:
            self.message.emit(str(error))
            return
        self._session.edit(document.with_source(source), text)
        self._state_input(self._input_text(name))

    def _input_text(self, name: str) -> str:
        kind = self._session.document.kind
        if kind.input_view == "canvas":
            return self.tr("{0} is the drawing now; Invert and Crop are below it.").format(name)
        return self.tr("{0} is the {1} now.").format(name, kind.noun)

    def _state_input(self, text: str) -> None:
        """Say what the input is, until it is another."""
        source = self._session.document.input.source
        self.stated.emit(Statement(text, partial(self._session.has_source, source)))

    def _report(self, opened: OpenResult, text: str) -> str:
        """The text with what else there is to say of an opened file."""
        if opened.note:
            text = f"{text} {opened.note}"
        if opened.request == self._first_request:
            text = self.tr("{0} One file at a time: the others were not opened.").format(text)
        return text

    def _compare(self, opened: OpenResult) -> None:
        """Compare with the model of a file; anything else is only reported."""
        name, found = opened.request.path.name, opened.content
        if isinstance(found, Model):
            self._settings.add_recent(opened.request.path)
            self._comparing.compare_with(found)
        elif found is None:
            self.message.emit(opened.error)
        else:
            message = self.tr("{0} contains no network to compare with; choose a model file (.safetensors).")
            self.message.emit(message.format(name))

    def compare_with(self, path: Path) -> None:
        """Open a model file to compare with; an invalid file is only reported."""
        self._comparison_request = self._open(path)

    def ask_comparison_file(self) -> None:
        """Ask for the model file to compare with."""
        kinds = self.tr("Models (*.safetensors);;All files (*)")
        name, _ = QFileDialog.getOpenFileName(self._window, self.tr("Compare with a model"), "", kinds)
        if name:
            self.compare_with(Path(name))

    def ask_open(self) -> None:
        """Ask for the file to open."""
        pattern = " ".join(f"*{suffix}" for suffix in (*PICTURE_SUFFIXES, ".safetensors", SUFFIX))
        name, _ = QFileDialog.getOpenFileName(
            self._window, self.tr("Open"), "", self.tr("Pictures and models ({0});;All files (*)").format(pattern)
        )
        if name:
            self.open_path(Path(name))

    def set_recent_menu(self, menu: QMenu) -> None:
        """List the recent files in `menu` whenever it is opened, and open the one chosen there."""
        self._recent_menu = menu
        menu.aboutToShow.connect(self.fill_recent)
        menu.triggered.connect(self._recent_chosen)

    def fill_recent(self) -> None:
        """List the recent files; those that no longer exist are disabled."""
        menu = self._recent_menu
        assert menu is not None
        menu.clear()
        recent = self._settings.recent
        for path, name in zip(recent, distinct_names(recent), strict=True):
            action = menu.addAction(menu_text(name))
            action.setStatusTip(str(path))
            action.setData(str(path))
            action.setEnabled(path.exists())
        menu.addSeparator()
        forget = menu.addAction(self.tr("&Clear list"))
        forget.setStatusTip(self.tr("Clear this list; the files stay where they are"))
        forget.setEnabled(bool(self._settings.recent))
        forget.triggered.connect(self._settings.clear_recent)

    def _recent_chosen(self, action: QAction) -> None:
        if action.data() is not None:  # what clears the list has none
            self.open_path(Path(action.data()))

    def ask_save_input(self) -> None:
        """Ask where to save a picture of the input, as it is now."""
        image = self._input_view().to_image()
        if path := self._ask_path(self.tr("Save drawing"), "drawing.png", self.tr("Picture (*.png)")):
            self._save(path, lambda: write_file(path, png_bytes(image)))

    def ask_save_window(self) -> None:
        """Ask where to save a picture of the window, as it is now."""
        self.picture_wanted.emit()
        image = self._window.grab().toImage()
        if path := self._ask_path(self.tr("Save picture"), "xo.png", self.tr("Picture (*.png)")):
            self._save(path, lambda: write_file(path, png_bytes(image)))

    def ask_save_model(self) -> None:
        """Ask where to save the first model with the weights on the screen now."""
        model, point = self._training.shown_model, self._training.shown_moment
        name = f"{model.name.lower()}.safetensors"
        if path := self._ask_path(self.tr("Save network"), name, self.tr("Model (*.safetensors)")):
            self._save(path, lambda: save_model(path, model), point)

    def _ask_path(self, title: str, name: str, kinds: str) -> Path | None:
        chosen, _ = QFileDialog.getSaveFileName(self._window, title, name, kinds)
        return Path(chosen) if chosen else None

    def _save(self, path: Path, save: Save, point: str = "") -> None:
        """Save, and report it. moment: what of the training was saved; "" for none."""
        try:
            save()
        except (ValueError, OSError) as error:
            self.message.emit(str(error))
        else:
            self._settings.add_recent(path)
            saved = self.tr("Saved {0}: {1}.") if point else self.tr("Saved {0}.")
            self.message.emit(saved.format(path.name, point))

    def copy(self) -> None:
        """Copy a picture of the focused panel; of the drawing alone if that is the canvas's."""
        focused = QApplication.focusWidget()
        view = next((v for v in self._views if focused is not None and v.isAncestorOf(focused)), None)
        if view is None or view is self._input_view():
            copy_image(self._input_view().to_image())
            self.message.emit(self.tr("Copied the {0}.").format(self._session.document.kind.noun))
        else:
            self.picture_wanted.emit()
            copy_image(view.grab().toImage())
            self.message.emit(self.tr("Copied a picture of the panel {0}.").format(view.title))

    def paste(self) -> None:
        """Open the copied file, or make the copied picture the drawing."""
        copied: QMimeData | None = QGuiApplication.clipboard().mimeData()  # None where the system has no clipboard
        self.receive(copied or QMimeData(), self.tr("Paste"), self.tr("The copied picture"))

    def drop(self, data: QMimeData) -> None:
        """Open the dropped file, or make the dropped picture the drawing."""
        self.receive(data, self.tr("Drop"), self.tr("The dropped picture"))

    def receive(self, data: QMimeData, text: str, name: str) -> None:
        """Use what was dropped or pasted, or say why not. text: of the undo; name: of a picture."""
        try:
            content = mime_content(data)
        except ValueError as error:
            self.message.emit(str(error))
            return
        if content.paths:
            self.open_path(content.paths[0], first=len(content.paths) > 1)
        elif content.picture is not None:
            self._input_view().end_stroke()
            self._use_picture(content.picture, text, name)
        else:
            self.message.emit(content.found)


def _remove_leftovers(folders: Sequence[Path]) -> None:
    for folder in folders:
        remove_leftovers(folder)


def copy_image(image: QImage) -> None:
    """Copy a picture to the clipboard."""
    QGuiApplication.clipboard().setImage(image)


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises ValueError if that fails."""
    write_atomically(path, data)


def png_bytes(image: QImage) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not QImageWriter(buffer, QByteArray(b"png")).write(image):
        raise ValueError("The picture could not be turned into a PNG file.")
    return bytes(buffer.data().data())
