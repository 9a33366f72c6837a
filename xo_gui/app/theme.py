"""Theme: the light and dark colours, the value colour scale, fonts, Qt palette and style sheet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

import numpy as np
from PySide6.QtCore import QDir, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QImage, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from engine.backends import HostArray
from engine.installation import asset_path

FONT = "Inter"
TEXT_PX, SMALL_PX, TITLE_PX, LARGE_PX = 13, 11, 13, 15
TABS_HEIGHT = 28  # of the central tabs, which are where a single panel has its title


@dataclass(frozen=True)
class Theme:
    """Colours as "#rrggbb". Text on the background has a contrast of at least 4.5:1.

    value_stops: the five stops of the diverging value scale, most negative first; the middle one is 0.
    value_knee: the share of the largest value at which the scale has its second and fourth stop.
    canvas, ink: a picture's -1 and 1.
    held_out: what is measured on held-out examples.
    branch_colours: the training branches after the first, distinct from the classes and the value scale.
    further_classes: the classes after the first two; all differ, to the colour-blind too.
    control, hover: the fill of a button, and of one under the mouse.
    disabled_text: disabled controls and decoration; its contrast is below 4.5:1.
    """

    name: str
    background: str
    border: str
    text: str
    secondary_text: str
    disabled_text: str
    control: str
    hover: str
    x: str
    o: str
    value_stops: tuple[str, str, str, str, str]
    value_knee: float
    canvas: str
    ink: str
    held_out: str
    branch_colours: tuple[str, ...]
    further_classes: tuple[str, ...]

    def class_colour(self, index: int) -> str:
        """The colour of the class at `index`; there are twenty, then they repeat."""
        return (self.x, self.o, *self.further_classes)[index % (2 + len(self.further_classes))]

    @cached_property
    def value_table(self) -> HostArray:
        """The value scale as 255 RGB32 words, (255,) uint32, most negative first, 0 at index 127."""
        return _table(self.value_stops, (-1.0, -self.value_knee, 0.0, self.value_knee, 1.0))

    @cached_property
    def picture_table(self) -> HostArray:
        """The picture scale as 255 RGB32 words, (255,) uint32, from background to stroke."""
        return _table((self.canvas, self.ink), (-1.0, 1.0))


DARK = Theme(
    "dark", "#0f1216", "#262c35", "#e8ebef", "#8f99a6", "#5b6572", "#1b2129", "#2a323d", "#ffb454", "#56b6f7",
    ("#be8cff", "#583e84", "#0f1216", "#1c685c", "#46e2be"), 0.25, "#0a0c0f", "#f5f6f8",
    "#7fd18b", ("#f0806a", "#5ccfd6", "#e39ad0", "#c9c04f", "#9aa8ff"),
    ("#f02d5a", "#965aff", "#a5f0e1", "#3c87a5", "#f096a5", "#ff6900", "#ff00b4", "#ffe100", "#8787e1", "#a5d2ff",
     "#009678", "#5aff96", "#a5a569", "#4bc3c3", "#b4d296", "#69e1c3", "#f03c0f", "#ff1e87"),
)  # fmt: skip
LIGHT = Theme(
    "light", "#f4f5f7", "#e1e4e9", "#1b2027", "#566170", "#9aa4b0", "#e9ebef", "#dcdfe5", "#9c4a00", "#0b5fa8",
    ("#703096", "#c4a4d6", "#ffffff", "#80c4b6", "#006c5c"), 0.35, "#ffffff", "#181c22",
    "#1f6f38", ("#b03a26", "#0b7078", "#a03a84", "#6f6700", "#3d4fb8"),
    ("#690f4b", "#0000ff", "#007869", "#1e2d87", "#692d00", "#3c00c3", "#d21e5a", "#783c78", "#960f3c", "#1e69e1",
     "#b400a5", "#0f4bd2", "#003c5a", "#00783c", "#c32d87", "#6900a5", "#962d00", "#780069"),
)  # fmt: skip
THEMES = {"dark": DARK, "light": LIGHT}


class ThemeService(QObject):
    """The theme in use. Widgets read it when they paint; those that keep something made from it make that anew on
    `changed`, which is emitted after the application's palette and style sheet were set."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._theme = DARK

    @property
    def theme(self) -> Theme:
        """The theme in use; DARK before the first is set."""
        return self._theme

    def set_theme(self, theme: Theme) -> None:
        """Use this theme in the whole application; does nothing if it is in use, because Qt then styles every
        widget again."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        sheet = style_sheet(theme)
        if app.styleSheet() == sheet and theme == self._theme:
            return
        self._theme = theme
        if not app.styleSheet():
            app.setStyle(QStyleFactory.create("Fusion"))
        app.setFont(font())
        app.setPalette(palette(theme))
        app.setStyleSheet(sheet)
        self.changed.emit()


theme_service: Final = ThemeService()


def current_theme() -> Theme:
    """The theme in use."""
    return theme_service.theme


def resolve_theme(name: str) -> Theme:
    """The theme named "dark" or "light", or for "system" the desktop's current one."""
    if name == "system":
        scheme = QGuiApplication.styleHints().colorScheme()
        return LIGHT if scheme == Qt.ColorScheme.Light else DARK
    return THEMES[name]


def colours(values: HostArray, low: float, high: float, table: HostArray) -> HostArray:
    """RGB32 words (uint32, same shape) of values, from `low` at the table's first colour to `high` at its last."""
    scale = (len(table) - 1) / (high - low) if high > low else 0.0
    indices = np.rint((values - low) * np.float32(scale))
    # fmax and fmin ignore NaN, which thereby becomes the first colour.
    np.fmax(indices, 0, out=indices)
    np.fmin(indices, len(table) - 1, out=indices)
    return table.take(indices.astype(np.intp))


def to_qimage(words: HostArray) -> QImage:
    """A QImage copied from RGB32 words (H, W) uint32. Raises ValueError for another shape or dtype."""
    if words.dtype != np.uint32 or words.ndim != 2 or not words.size:
        raise ValueError(f"A picture needs (H, W) uint32 words, not {words.dtype} of shape {words.shape}.")
    words = np.ascontiguousarray(words)
    height, width = words.shape
    return QImage(words.data, width, height, 4 * width, QImage.Format.Format_RGB32).copy()


def font(px: int = TEXT_PX, strong: bool = False) -> QFont:
    """The program's font with tabular figures."""
    return QFont(_font(px, strong))


@cache
def _font(px: int, strong: bool) -> QFont:
    result = QFont(FONT)
    result.setPixelSize(px)
    result.setWeight(QFont.Weight.DemiBold if strong else QFont.Weight.Normal)
    result.setFeature(QFont.Tag("tnum"), 1)
    return result


def heading_font() -> QFont:
    """The font of panel titles: small, semi-bold, letter-spaced."""
    result = font(SMALL_PX, strong=True)
    result.setLetterSpacing(QFont.SpacingType.AbsoluteSpacing, 0.8)
    return result


def load_fonts() -> None:
    """Register the shipped font with Qt; without it the desktop's font is used."""
    for name in ("Inter-Regular.otf", "Inter-SemiBold.otf"):
        QFontDatabase.addApplicationFont(QDir.toNativeSeparators(str(asset_path(f"fonts/{name}"))))


def palette(theme: Theme) -> QPalette:
    role, result = QPalette.ColorRole, QPalette()
    pairs = {
        role.Window: theme.background, role.WindowText: theme.text,
        role.Base: theme.background, role.Text: theme.text,
        role.AlternateBase: theme.control, role.Button: theme.control, role.ButtonText: theme.text,
        role.ToolTipBase: theme.hover, role.ToolTipText: theme.text, role.PlaceholderText: theme.secondary_text,
        role.Highlight: theme.o, role.HighlightedText: theme.background,
        role.Link: theme.o, role.BrightText: theme.x,
        role.Light: theme.hover, role.Midlight: theme.hover, role.Mid: theme.border, role.Dark: theme.border,
        role.Shadow: theme.background,
    }  # fmt: skip
    for which, colour in pairs.items():
        result.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, which, QColor(theme.disabled_text))
    return result


def style_sheet(theme: Theme) -> str:
    """The style sheet for what the palette cannot express: flat buttons, thin sliders, plain panels."""
    return f"""
    QMenuBar, QMenu, QToolTip, QStatusBar {{ font-family: "{FONT}"; font-size: {TEXT_PX}px; }}
    QFrame#offer {{ background: {theme.control}; border: none; border-bottom: 1px solid {theme.border}; }}
    QFrame#offer QPushButton {{ background: {theme.hover}; }}
    QLabel#panel-title {{ color: {theme.secondary_text}; }}
    QTabBar {{ font-family: "{FONT}"; font-size: {SMALL_PX}px; font-weight: 600; background: transparent; }}
    QTabBar::tab {{ color: {theme.secondary_text}; background: transparent; padding: 8px 0 4px 0;
        margin: 0 0 0 16px; border: none; border-bottom: 2px solid transparent; }}
    QTabBar::tab:selected {{ color: {theme.text}; border-bottom: 2px solid {theme.text}; }}
    QTabBar#pages::tab {{ margin: 0 16px 0 0; padding: 4px 0 4px 0; }}
    QTabBar::tab:hover {{ color: {theme.text}; }}
    QTabWidget QTabBar::tab {{ height: {TABS_HEIGHT - 14}px; }}
    QTabWidget::pane {{ border: none; }}
    QTabWidget[beside="true"]::pane {{ position: absolute; top: -{TABS_HEIGHT}px; }}
    QMainWindow, QDialog {{ background: {theme.background}; }}
    QMainWindow::separator {{ background: {theme.border}; width: 1px; height: 1px; }}
    QMenuBar {{ background: {theme.background}; padding: 4px 6px; border-bottom: 1px solid {theme.border}; }}
    QMenuBar::item {{ padding: 5px 10px; border-radius: 5px; background: transparent; }}
    QMenuBar::item:selected {{ background: {theme.hover}; }}
    QMenu {{ background: {theme.control}; border: 1px solid {theme.border}; padding: 4px; }}
    QMenu::item {{ padding: 5px 24px 5px 24px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {theme.hover}; }}
    QMenu::item:disabled {{ color: {theme.disabled_text}; }}
    QMenu::separator {{ height: 1px; background: {theme.border}; margin: 4px 8px; }}
    QStatusBar {{ border-top: 1px solid {theme.border}; color: {theme.secondary_text}; }}
    QStatusBar::item {{ border: none; }}
    QToolTip {{ color: {theme.text}; background: {theme.hover}; border: 1px solid {theme.border}; padding: 4px; }}
    QPushButton, QToolButton {{ background: {theme.control}; border: 1px solid transparent; border-radius: 6px;
        padding: 5px 10px; color: {theme.text}; }}
    QToolButton#choice {{ padding: 3px 10px; }}
    QPushButton:hover, QToolButton:hover {{ background: {theme.hover}; }}
    QPushButton:checked, QToolButton:checked {{ border: 1px solid {theme.text}; }}
    QPushButton:focus, QToolButton:focus {{ border: 1px solid {theme.o}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {theme.disabled_text}; }}
    HeaderButton {{ color: {theme.secondary_text}; background: transparent; padding: 1px 5px; }}
    HeaderButton:hover {{ color: {theme.text}; background: {theme.hover}; }}
    HeaderButton:checked {{ color: {theme.text}; background: {theme.control}; border-color: transparent; }}
    HeaderButton:focus {{ border-color: {theme.o}; }}
    HeaderButton:disabled {{ color: {theme.disabled_text}; }}
    QComboBox, NumberEdit {{ background: {theme.control}; border: 1px solid transparent;
        border-radius: 6px; padding: 3px 8px; color: {theme.text}; }}
    QComboBox:hover, NumberEdit:hover {{ background: {theme.hover}; }}
    NumberEdit {{ placeholder-text-color: {theme.secondary_text}; }}
    QComboBox:focus, NumberEdit:focus {{ border: 1px solid {theme.o}; }}
    QComboBox::drop-down {{ border: none; width: 16px; }}
    QSlider::groove:horizontal {{ height: 3px; border-radius: 1px; background: {theme.border}; }}
    QSlider::handle:horizontal {{ width: 12px; height: 12px; margin: -5px 0; border-radius: 6px;
        background: {theme.text}; border: 1px solid {theme.text}; }}
    QSlider::handle:horizontal:disabled {{ background: {theme.disabled_text};
        border-color: {theme.disabled_text}; }}
    QSlider::handle:horizontal:focus {{ border: 2px solid {theme.o}; }}
    BranchTable {{ border: none; outline: none; background: transparent; color: {theme.secondary_text}; }}
    BranchTable::item {{ padding: 0 4px; border: none; }}
    BranchTable::item:selected {{ background: {theme.control}; color: {theme.text}; }}
    BranchTable::indicator {{ width: 10px; height: 10px; border: 1px solid {theme.secondary_text};
        border-radius: 3px; background: transparent; }}
    BranchTable::indicator:checked {{ background: {theme.secondary_text}; }}
    BranchTable::indicator:checked:selected {{ background: {theme.text}; }}
    BranchTable:focus {{ border: 1px solid {theme.o}; }}
    BranchTable QHeaderView::section {{ background: {theme.background}; color: {theme.secondary_text};
        border: none; padding: 2px 4px; }}
    BranchTable QLineEdit {{ background: {theme.hover}; color: {theme.text}; border: none; padding: 0 2px; }}
    ConfusionTable QTableCornerButton::section {{ background: transparent; border: none; }}
    ConfusionTable QHeaderView, ConfusionTable QHeaderView::section {{ background: {theme.background};
        border: none; padding: 0 2px; }}
    ConfusionTable QHeaderView::section:vertical {{ padding: 0; }}
    QScrollBar:horizontal {{ height: 10px; background: transparent; }}
    QScrollBar:vertical {{ width: 10px; background: transparent; }}
    QScrollBar::handle {{ background: {theme.border}; border-radius: 4px; min-width: 24px; min-height: 24px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollArea {{ border: none; }}
    QAbstractScrollArea::corner {{ border: none; background: transparent; }}
    """


def _table(stops: tuple[str, ...], places: tuple[float, ...]) -> HostArray:
    """255 RGB32 words, interpolated linearly between stops at `places` from -1 to 1."""
    rgb = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops], float)
    positions = np.linspace(-1.0, 1.0, 255)
    red, green, blue = (np.rint(np.interp(positions, places, rgb[:, i])) for i in range(3))
    words = 0xFF000000 + red.astype(np.uint32) * 65536 + green.astype(np.uint32) * 256 + blue.astype(np.uint32)
    table: HostArray = words.astype(np.uint32)
    return table
