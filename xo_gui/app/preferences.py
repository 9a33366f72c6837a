"""Preferences: theme, recent files and window layout, kept in a JSON file between two starts.

The file is not trusted: each part of it is checked by itself; one that is damaged or unknown is ignored and said.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from platformdirs import user_config_path
from PySide6.QtCore import QByteArray, QObject, Signal, qVersion

from engine.formats import MEBIBYTE, FileError, quoted, read_bytes, write_atomically

log = logging.getLogger(__name__)

RECENT_LIMIT, FOLDS_LIMIT = 10, 50
_ThemeName: TypeAlias = Literal["system", "dark", "light"]
_PathText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]


_Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
_Folds: TypeAlias = Annotated[dict[_Name, dict[_Name, bool]], msgspec.Meta(max_length=FOLDS_LIMIT)]


class SavedLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The window's geometry and dock state as Qt writes them, and what proves them whole and of this version.

    Qt reads both without checking them: a single changed byte can end the process.
    """

    geometry: bytes
    panels: bytes
    qt: str
    program: str
    checksum: str

    @classmethod
    def of(cls, geometry: QByteArray, panels: QByteArray) -> SavedLayout:
        """The layout of this Qt and this version of the program, with its checksum."""
        written = bytes(geometry.data()), bytes(panels.data()), qVersion(), version("xo-gui")
        return cls(*written, checksum=_checksum(*written))

    @property
    def is_whole(self) -> bool:
        return self.checksum == _checksum(self.geometry, self.panels, self.qt, self.program)

    @property
    def is_of_this_version(self) -> bool:
        return (self.qt, self.program) == (qVersion(), version("xo-gui"))


def _checksum(*parts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class _Settings(msgspec.Struct, frozen=True):
    """The content of the file; the defaults are those of the first start."""

    theme: _ThemeName = "system"
    recent: tuple[_PathText, ...] = ()
    layout: SavedLayout | None = None
    folds: _Folds = msgspec.field(default_factory=dict)


def settings_path() -> Path:
    """The file that holds the preferences."""
    return user_config_path("xo-gui", appauthor=False) / "settings.json"


class Preferences(QObject):
    """Typed access to the settings file; every change is written at once.

    Windows that are open at the same time share the file: a change is made to what it holds by then.

    problems: a sentence for each part of the file that was ignored. message(text): a sentence for the user.
    """

    message = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = settings_path()
        self._settings, self.problems = _read(self._path)
        self._error = ""
        for problem in self.problems:
            log.warning(problem)

    @property
    def theme(self) -> str:
        """ "system", "dark" or "light"."""
        return self._settings.theme

    @theme.setter
    def theme(self, name: str) -> None:
        self._change(lambda settings: msgspec.structs.replace(settings, theme=name))

    @property
    def recent(self) -> list[Path]:
        """Recently opened files, the latest first; a file may no longer exist."""
        return [Path(name) for name in self._settings.recent]

    def add_recent(self, path: Path) -> None:
        """Put `path` first among the recent files, unless its name cannot be written as text."""
        name = str(path.absolute())
        if not _is_text(name):
            return

        def add(settings: _Settings) -> _Settings:
            others = [known for known in settings.recent if known != name]
            return msgspec.structs.replace(settings, recent=(name, *others)[:RECENT_LIMIT])

        self._change(add)

    def clear_recent(self) -> None:
        """Clear the list of recent files."""
        self._change(lambda settings: msgspec.structs.replace(settings, recent=()))

    @property
    def layout(self) -> SavedLayout | None:
        """The window's layout, None if there is none that can be restored."""
        return self._settings.layout

    @layout.setter
    def layout(self, layout: SavedLayout) -> None:
        self._change(lambda settings: msgspec.structs.replace(settings, layout=layout))

    @property
    def folds(self) -> dict[str, dict[str, bool]]:
        """The layers, by id, that the user has folded (True) or unfolded, by the name of the network."""
        return self._settings.folds

    def remember_folds(self, network: str, folds: dict[str, bool]) -> None:
        """Keep what is folded of the network of this name; of FOLDS_LIMIT networks, those folded last."""
        if len(network) > 200 or not _is_text(network):
            return

        def remember(settings: _Settings) -> _Settings:
            others = [(name, kept) for name, kept in settings.folds.items() if name != network]
            kept = dict([*others, (network, folds)][-FOLDS_LIMIT:])
            return msgspec.structs.replace(settings, folds=kept)

        self._change(remember)

    def _change(self, change: Callable[[_Settings], _Settings]) -> None:
        """Change the file, and say once if it cannot be written; the change then lasts as long as this window."""
        before = self._settings if self._error else _read(self._path)[0]
        self._settings = change(before)
        error = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, msgspec.json.format(msgspec.json.encode(self._settings)))
        except FileError as failed:
            error = str(failed)
        except OSError as failed:
            error = f"No setting is kept, the folder {quoted(self._path.parent)} cannot be made: {failed.strerror}."
        if error and error != self._error:
            log.warning(error)
            self.message.emit(error)
        self._error = error


_KINDS: Final[dict[str, Any]] = {
    "theme": _ThemeName,
    "recent": list[msgspec.Raw],
    "layout": SavedLayout | None,
    "folds": _Folds,
}


def _read(path: Path) -> tuple[_Settings, list[str]]:
    """The settings in a file, and a sentence for everything in it that was ignored."""
    try:
        if not path.exists():
            return _Settings(), []
        parts = msgspec.json.decode(read_bytes(path, MEBIBYTE), type=dict[str, msgspec.Raw])
    except FileError as error:
        return _Settings(), [f"{error} The standard settings are used."]
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        return _Settings(), [f"The settings in {quoted(path)} cannot be read; the standard ones are used."]
    found: dict[str, Any] = {}
    ignored = [name for name in parts if name not in _KINDS]
    for name in _KINDS.keys() & parts.keys():
        try:
            found[name] = msgspec.json.decode(parts[name], type=_KINDS[name])
        except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):
            ignored.append(name)
    names, damaged = _texts(found.pop("recent", []))
    ignored += ["recent"] * damaged
    problems = []
    if ignored:
        listed = ", ".join(sorted(quoted(name[:40]) for name in ignored)[:5])
        problems.append(f"Parts of the settings in {quoted(path)} are damaged or unknown and not used: {listed}.")
    layout = found.pop("layout", None)
    if layout is not None and (problem := _layout_problem(layout)):
        problems.append(problem)
        layout = None
    return _Settings(recent=names[:RECENT_LIMIT], layout=layout, **found), problems


def _layout_problem(layout: SavedLayout) -> str:
    """Why a layout cannot be restored, as a sentence; "" if it can be."""
    if not layout.is_whole:
        return "The layout of the window was damaged; it is the standard one now."
    if not layout.is_of_this_version:
        return "The layout of the window was saved by another version of the program; it is the standard one now."
    return ""


def _texts(values: list[msgspec.Raw]) -> tuple[tuple[str, ...], bool]:
    """The names among the values of a list, and whether there are others."""
    names = []
    for value in values:
        try:
            names.append(msgspec.json.decode(value, type=_PathText))
        except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):
            continue
    return tuple(names), len(names) < len(values)


def _is_text(name: str) -> bool:
    """Whether a file name is Unicode; on Linux its bytes may be anything."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
