"""What a drop or the clipboard holds: files, a picture, or something that is named in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
from PySide6.QtCore import QByteArray, QMimeData, QUrl
from PySide6.QtGui import QImage, QPixmap

from engine.backends import HostArray
from engine.formats import decode_picture, pixels_as_ink
from xo_gui.app import translate

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:\S", re.IGNORECASE)
_MAX_TEXT = 80  # characters of an address that a sentence quotes
# As file managers copy files: a line that says copy or cut, then the addresses.
_COPIED_FILES = "x-special/gnome-copied-files"


@dataclass(frozen=True, eq=False)
class MimeContent:
    """Local files, or else a picture as ink (H, W), -1 to 1; with neither, what was found instead."""

    paths: tuple[Path, ...] = ()
    picture: HostArray | None = None
    found: str = ""


def mime_content(data: QMimeData) -> MimeContent:
    """The files of `data`, else its picture; an address is never followed, because the program uses no network.

    Raises ValueError, one sentence, for a picture that cannot be read.
    """
    urls = _urls(data)
    paths = tuple(Path(url.toLocalFile()) for url in urls if url.isLocalFile())
    if paths:
        return MimeContent(paths)
    picture = _picture(data, urls)
    if picture is not None:
        return MimeContent(picture=picture)
    return MimeContent(found=_found_instead(data, urls))


def _urls(data: QMimeData) -> list[QUrl]:
    """The addresses in `data`, also those that are only there as text."""
    if urls := [url for url in data.urls() if not url.isEmpty()]:
        return urls
    lines = data.text().split("\n") if data.hasText() else []
    if data.hasFormat(_COPIED_FILES):
        lines = bytes(data.data(_COPIED_FILES).data()).decode(errors="replace").split("\n")[1:]
    lines = [line.strip() for line in lines if line.strip()]
    if lines and all(_ADDRESS.match(line) for line in lines):
        return [QUrl(line) for line in lines]
    if len(lines) == 1 and Path(lines[0]).is_absolute():
        return [QUrl.fromLocalFile(lines[0])]
    return []


def _picture(data: QMimeData, urls: Iterable[QUrl]) -> HostArray | None:
    """The picture itself: of the system, encoded as a file, or inside a data address; None without one."""
    name = translate("ImportExport", "The picture")
    if data.hasImage():
        image = data.imageData()
        image = image.toImage() if isinstance(image, QPixmap) else image
        if isinstance(image, QImage) and not image.isNull():
            return ink_of_image(image)
    for kind in data.formats():
        if kind.startswith("image/") and not data.data(kind).isEmpty():
            return decode_picture(bytes(data.data(kind).data()), name)
    for url in urls:
        head, _, body = url.toString().partition(",")
        if url.scheme() == "data" and head.startswith("data:image/"):
            raw = unquote_to_bytes(body)
            encoded = QByteArray.fromBase64(QByteArray(raw)).data() if head.endswith(";base64") else raw
            return decode_picture(bytes(encoded), name)
    return None


def ink_of_image(image: QImage) -> HostArray:
    """A picture as ink, read as from a file. Raises ValueError, one sentence, if it is too large."""
    if image.format() == QImage.Format.Format_Grayscale16:
        return pixels_as_ink(_pixels(image, np.uint16, 1)[..., 0], translate("ImportExport", "The picture"))
    return pixels_as_ink(
        _pixels(image.convertToFormat(QImage.Format.Format_RGBA8888), np.uint8, 4),
        translate("ImportExport", "The picture"),
    )


def _pixels(image: QImage, dtype: type[np.unsignedinteger], channels: int) -> HostArray:
    row = image.bytesPerLine() // np.dtype(dtype).itemsize
    rows = np.frombuffer(image.constBits(), dtype).reshape(image.height(), row)
    return rows[:, : image.width() * channels].reshape(image.height(), image.width(), channels).copy()


def _found_instead(data: QMimeData, urls: list[QUrl]) -> str:
    if urls:
        address = urls[0].toDisplayString()
        address = address if len(address) <= _MAX_TEXT else address[: _MAX_TEXT - 1] + "…"
        text = translate(
            "ImportExport",
            "{0} is an address, and this program uses no network; save the picture as a file and open that.",
        )
        return text.format(address)
    if data.hasText() and data.text().strip():
        return translate("ImportExport", "That is text and no picture; copy or drop a picture, or a file.")
    return translate("ImportExport", "There is no picture to paste or drop; copy a picture or a file first.")
