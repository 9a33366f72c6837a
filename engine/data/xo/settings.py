"""Settings of the X and O generator: the range of each property, its limits and its unit."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

Range = tuple[float, float]

MIN_SIDE, MAX_SIDE = 4, 1024  # of a picture, in pixels
MIN_SIZE: Final = 7.0  # pixels: a smaller X cannot be distinguished from an O
MIN_PEN_WIDTH: Final = 0.6  # pixels: a thinner line is hardly visible


def _metadata(least: float, most: float, unit: str, text: str) -> dict[str, Any]:
    return {"least": least, "most": most, "unit": unit, "text": text}


@dataclass(frozen=True)
class XOSettings:
    """The ranges from which the properties of each drawing are sampled. A pair is a range, low to high.

    The metadata of a field hold its limits (`least`, `most`), its `unit` and its description, `text`. A drawing is
    at least 7 pixels large and its pen 0.6 pixels wide, unless the whole range is below that.

    Raises ValueError for a setting outside its limits and for a range whose low is above its high.
    """

    side: int = field(
        default=32, metadata=_metadata(MIN_SIDE, MAX_SIDE, "pixels", "The height and width of the pictures.")
    )
    pen_width: Range = field(
        default=(0.02, 0.14), metadata=_metadata(0.004, 0.5, "of the frame", "The width of the pen.")
    )
    size: Range = field(
        default=(0.25, 1.0), metadata=_metadata(0.05, 2.0, "of the frame", "The longer side of all the ink.")
    )
    position: Range = field(
        default=(0.0, 1.0),
        metadata=_metadata(
            0.0, 1.0, "of the free room", "The position: 0 at the left or top, 1 at the right or bottom."
        ),
    )
    cut: float = field(
        default=0.15,
        metadata=_metadata(0.0, 1.0, "of the X and O", "How many are cut off by the frame, or by an edge near it."),
    )
    cut_depth: Range = field(
        default=(0.06, 0.27),
        metadata=_metadata(0.0, 0.35, "of the drawing", "The largest part that is cut off, on a side."),
    )
    rotation: Range = field(
        default=(-38.0, 38.0),
        metadata=_metadata(-40.0, 40.0, "degrees", "The rotation of an X; an O is rotated by any angle."),
    )
    aspect: Range = field(
        default=(0.45, 2.2),
        metadata=_metadata(0.4, 2.5, "width to height", "The aspect ratio before rotation."),
    )
    shear: Range = field(default=(-0.22, 0.22), metadata=_metadata(-0.5, 0.5, "of the height", "The shear."))
    bend: Range = field(
        default=(-0.15, 0.15),
        metadata=_metadata(-0.4, 0.4, "of the drawing", "The bend into an arc."),
    )
    wobble: Range = field(
        default=(0.0, 0.02), metadata=_metadata(0.0, 0.1, "of the drawing", "The unsteadiness of the lines.")
    )
    arms: Range = field(
        default=(0.22, 1.0),
        metadata=_metadata(0.2, 1.0, "of the longest", "From the crossing to each end of an X."),
    )
    curve: Range = field(
        default=(-0.13, 0.13),
        metadata=_metadata(-0.3, 0.3, "of an arm", "The curvature of the arms of an X."),
    )
    one_stroke: float = field(
        default=0.04, metadata=_metadata(0.0, 1.0, "of the X", "How many are drawn without lifting the pen.")
    )
    gap: Range = field(
        default=(-90.0, 70.0),
        metadata=_metadata(-180.0, 90.0, "degrees", "The gap in an O; below 0 its line runs past its start."),
    )
    drift: Range = field(
        default=(-0.14, 0.14),
        metadata=_metadata(-0.4, 0.4, "of the radius", "How much wider an O ends than it began."),
    )
    lumps: Range = field(
        default=(0.0, 0.05), metadata=_metadata(0.0, 0.15, "of the radius", "The deviation of an O from a circle.")
    )
    hook: Range = field(
        default=(0.0, 0.09),
        metadata=_metadata(0.0, 0.3, "of the drawing", "The length of hooks at the ends of a line."),
    )
    pressure: Range = field(
        default=(-0.35, 0.35),
        metadata=_metadata(-0.9, 0.9, "of the pen width", "The change of the width near the ends of a line."),
    )
    softness: Range = field(
        default=(0.5, 2.0), metadata=_metadata(0.0, 6.0, "pixels", "The blur of the edge of the ink.")
    )
    noise: Range = field(
        default=(0.0, 0.2),
        metadata=_metadata(0.0, 1.0, "of the ink", "The standard deviation of noise on the pixels; mostly low."),
    )
    coarse: float = field(
        default=0.06,
        metadata=_metadata(0.0, 1.0, "of all pictures", "How many are drawn in the squares of a coarse grid."),
    )
    neither: float = field(
        default=0.15, metadata=_metadata(0.0, 1.0, "of all pictures", "How many are neither an X nor an O.")
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))


def _check(setting: Field[Any], value: Any) -> None:
    name = setting.name
    least, most, unit = (setting.metadata[key] for key in ("least", "most", "unit"))
    is_range = isinstance(setting.default, tuple)
    if is_range and not (isinstance(value, tuple) and len(value) == 2):
        raise ValueError(f"The setting {name} must be a range (low, high), not {value!r}.")
    values = value if is_range else (value,)
    if not all(isinstance(number, int | float) and least <= number <= most for number in values):
        raise ValueError(f"The setting {name} must be from {least} to {most} {unit}, not {value!r}.")
    if isinstance(setting.default, int) and not isinstance(value, int):
        raise ValueError(f"The setting {name} must be a whole number of {unit}, not {value!r}.")
    if values[0] > values[-1]:
        raise ValueError(f"The range of the setting {name} must not start above its end, as {value!r} does.")
