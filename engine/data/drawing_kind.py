"""DrawingKind: the base of the kinds of data whose inputs are drawn on the canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from engine.backends import HostArray
from engine.data.data_kind import DataKind, InputShape, Settings
from engine.data.folders import scan_folder
from engine.drawings import (
    WHOLE_FRAME,
    Drawing,
    DrawingTransform,
    FloatArray,
    Stroke,
    fit_to_frame,
    render,
)
from engine.formats import InvalidFile, Note, read_picture, read_pictures
from engine.nn import Network, is_blank_picture
from engine.nn.layers import ShapeError, shape_text

MIN_SIDE, MAX_SIDE = 4, 1024  # of a drawing, in pixels

_MAX_STROKES: Final = 100_000
# The tensors of drawings, with the number of their columns, 0 for one dimension.
_DRAWING_COLUMNS: Final = {"points": 3, "strokes": 4, "transforms": 11, "sizes": 2, "images": 0}
_COLUMNS_BEFORE_CROP: Final = 6  # of the transforms, in files without invert and crop


class DrawingKind(DataKind[Settings, Drawing]):
    """The base of kinds whose sources are drawings, read as one square map; the settings have a field `side`."""

    noun = "drawing"
    plural = "drawings"
    source_type: ClassVar[type] = Drawing
    input_view = "canvas"

    def input_shape(self, settings: Settings) -> InputShape:
        side: int = getattr(settings, "side")  # noqa: B009
        return 1, side, side

    def with_input_shape(self, settings: Settings, input_shape: InputShape) -> Settings:
        channels, height, width = input_shape
        if channels != 1 or height != width:
            raise ShapeError(
                f"Generated {self.plural} are one square map, but the network's input is "
                f"{shape_text(input_shape)}; "
                "give it pictures with --data."
            )
        changes: dict[str, Any] = {"side": height}
        return replace(settings, **changes)

    def blank(self) -> Drawing:
        return Drawing()

    def is_empty(self, source: Drawing) -> bool:
        return source.is_empty and source.transform.is_identity

    def is_blank(self, image: FloatArray) -> bool:
        return is_blank_picture(image)

    def encode(self, source: Drawing, input_shape: InputShape) -> FloatArray:
        return render(source, input_shape[1])[None]

    def decode(self, image: FloatArray) -> Drawing:
        return Drawing(image=image[0])

    def fit_to_frame(self, source: Drawing) -> Drawing:
        return fit_to_frame(source)

    def from_picture(self, picture: FloatArray) -> Drawing:
        return Drawing(image=picture)

    def preview(self, source: Drawing, side: int) -> FloatArray:
        return render(source, side)

    def find_sources(self, folder: Path) -> list[Path]:
        return sorted(folder.joinpath(*picture.parts) for picture in scan_folder(folder).pictures)

    def read_source(
        self, path: Path, note: Note | None = None, proceed: Callable[[], None] | None = None
    ) -> Drawing:
        return Drawing(image=read_picture(path, note, proceed))

    def read_sources(self, paths: Sequence[Path], note: Note | None = None) -> Iterator[Drawing | ValueError]:
        for read in read_pictures(paths, note):
            yield read if isinstance(read, ValueError) else Drawing(image=read)

    def sources_to_arrays(self, sources: Sequence[Drawing]) -> Mapping[str, HostArray]:
        return drawings_to_arrays(sources)

    def sources_from_arrays(self, arrays: Mapping[str, HostArray]) -> list[Drawing]:
        return drawings_from_arrays(arrays)

    def check_input(self, network: Network, name: str) -> None:
        channels, side, width = network.input_shape
        if channels != 1 or side != width:
            raise ShapeError(
                f"{name} reads {shape_text(network.input_shape)}, but a drawing is one square map; choose a "
                "network with a 1 × n × n input."
            )
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise ValueError(
                f"{name} reads {side:,} × {side:,} pixels, but a drawing is read at {MIN_SIDE} × {MIN_SIDE} to "
                f"{MAX_SIDE:,} × {MAX_SIDE:,}; choose a network with such an input."
            )


def drawings_to_arrays(drawings: Sequence[Drawing]) -> dict[str, HostArray]:
    """Drawings as arrays, by tensor name.

    points (p, 3): of all strokes, concatenated
    strokes (s, 4): index of the drawing, number of points, whether it erases, grid
    transforms (n, 11): the fields of DrawingTransform, of which the crop is four
    sizes (n, 2): height and width of the images, 0 without an image
    images: their values, concatenated
    """
    strokes = [(index, stroke) for index, drawing in enumerate(drawings) for stroke in drawing.strokes]
    images = [drawing.image for drawing in drawings]
    rows = [(index, len(stroke.points), stroke.erase, stroke.grid) for index, stroke in strokes]
    return {
        "points": np.concatenate([np.zeros((0, 3), np.float32), *(stroke.points for _, stroke in strokes)]),
        "strokes": np.array(rows, np.float64).reshape(-1, 4),
        "transforms": np.array([_transform_row(drawing.transform) for drawing in drawings], np.float64).reshape(
            -1, 11
        ),
        "sizes": np.array([(0, 0) if i is None else i.shape for i in images], np.float64).reshape(-1, 2),
        "images": np.concatenate([np.zeros(0, np.float32), *(i.ravel() for i in images if i is not None)]),
    }


def drawings_from_arrays(arrays: Mapping[str, HostArray]) -> list[Drawing]:
    """The inverse of `drawings_to_arrays`. Raises InvalidFile, or ValueError for an invalid drawing."""
    points, strokes, transforms, sizes, images = (_drawing_array(arrays, name) for name in _DRAWING_COLUMNS)
    if len(strokes) > _MAX_STROKES:
        raise InvalidFile(f"holds {len(strokes):,} strokes, more than {_MAX_STROKES:,}")
    count, ends = len(transforms), np.cumsum(strokes[:, 1])
    if len(sizes) != count or (len(ends) and ends[-1] != len(points)) or images.size != sizes.prod(1).sum():
        raise InvalidFile("holds drawings whose parts do not fit together")
    if not all(_are_counts(values) for values in (strokes, sizes)) or (strokes[:, 0] >= count).any():
        raise InvalidFile("holds strokes of drawings that are not there")
    strokes_of: list[list[Stroke]] = [[] for _ in range(count)]
    for end, (index, length, erase, grid) in zip(ends.astype(int), strokes.astype(int).tolist(), strict=True):
        strokes_of[index].append(Stroke(points[end - length : end].copy(), bool(erase), grid))
    drawings, start = [], 0
    for its_strokes, transform, (height, width) in zip(
        strokes_of, transforms, sizes.astype(int).tolist(), strict=True
    ):
        image = images[start : start + height * width].reshape(height, width).copy() if height * width else None
        start += height * width
        drawings.append(Drawing(tuple(its_strokes), image, _parse_transform(transform.tolist())))
    return drawings


def _transform_row(transform: DrawingTransform) -> tuple[float, ...]:
    moves = (transform.shift_x, transform.shift_y, transform.size, transform.rotate, transform.bend)
    return *moves, transform.thicken, float(transform.invert), *transform.crop


def _parse_transform(row: list[float]) -> DrawingTransform:
    shift_x, shift_y, size, rotate, bend, thicken, invert, left, top, right, bottom = row
    if invert not in (0, 1):
        raise InvalidFile("holds a picture that is neither inverted nor not")
    return DrawingTransform(shift_x, shift_y, size, rotate, bend, thicken, bool(invert), (left, top, right, bottom))


def _drawing_array(arrays: Mapping[str, HostArray], name: str) -> HostArray:
    columns = _DRAWING_COLUMNS[name]
    array = arrays.get(name)
    if name == "transforms" and array is not None and array.shape[1:] == (_COLUMNS_BEFORE_CROP,):
        added = np.array([0.0, *WHOLE_FRAME])
        array = np.column_stack([array, np.tile(added, (len(array), 1))])
    if array is None or array.shape[1:] != ((columns,) if columns else ()) or not array.ndim:
        raise InvalidFile(f"lacks the {name} of its drawings")
    return array


def _are_counts(values: HostArray) -> bool:
    """Whether all values are integers from 0 to 2**31 - 1."""
    return bool(((values >= 0) & (values < 2**31) & (values == np.floor(values))).all())
