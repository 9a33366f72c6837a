"""Preferences: theme, recent files and window layout, kept in an INI file between two starts."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, QSettings

RECENT_LIMIT = 10
THEME_NAMES = ("system", "dark", "light")


class Preferences:
    """Typed access to an INI file in the user's configuration folder; a damaged or missing value is the default."""

    def __init__(self, parent: QObject | None = None) -> None:
        self._store = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "xo-gui", "xo-gui", parent)

    @property
    def theme(self) -> str:
        """ "system", "dark" or "light"."""
        name = str(self._store.value("theme", "system"))
        return name if name in THEME_NAMES else "system"

    @theme.setter
    def theme(self, name: str) -> None:
        self._store.setValue("theme", name)

    @property
    def recent(self) -> list[Path]:
        """Recently opened files, the latest first; a file may no longer exist."""
        stored = self._store.value("recent", [])
        names = stored if isinstance(stored, list) else [stored]
        return [Path(str(name)) for name in names if name][:RECENT_LIMIT]

    def add_recent(self, path: Path) -> None:
        """Put `path` first among the recent files."""
        path = path.absolute()
        files = [path, *(known for known in self.recent if known != path)]
        self._store.setValue("recent", [str(known) for known in files[:RECENT_LIMIT]])

    def clear_recent(self) -> None:
        """Clear the list of recent files."""
        self._store.remove("recent")

    @property
    def layout(self) -> tuple[QByteArray, QByteArray]:
        """The window's geometry and dock state, empty if unknown."""
        return self._bytes("geometry"), self._bytes("panels")

    @layout.setter
    def layout(self, state: tuple[QByteArray, QByteArray]) -> None:
        self._store.setValue("geometry", state[0])
        self._store.setValue("panels", state[1])

    def save(self) -> None:
        """Write everything to disk now."""
        self._store.sync()

    def _bytes(self, name: str) -> QByteArray:
        value = self._store.value(name)
        return value if isinstance(value, QByteArray) else QByteArray()
