"""What the generated X and O may look like: every range, its limits and its unit. Not how they are drawn."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, Final

Range = tuple[float, float]

LEAST_SIZE: Final = 7.0  # pixels: a smaller X cannot be told from an O
LEAST_PEN: Final = 0.6  # pixels: a thinner line is hardly seen


def _about(least: float, most: float, unit: str, text: str) -> dict[str, Any]:
    return {"least": least, "most": most, "unit": unit, "text": text}


@dataclass(frozen=True)
class XOSettings:
    """The ranges from which each picture's look is drawn. A pair is a range, low to high.

    A field's metadata hold its limits (`least`, `most`), its `unit` and a `text` that says what it does. Whatever
    the ranges say, a drawing is no smaller than 7 pixels and its pen no thinner than 0.6, unless a whole range is.

    Raises ValueError for a setting outside its limits and for a range whose low is above its high.
    """

    side: int = field(default=32, metadata=_about(4, 1024, "pixels", "The height and width of the pictures."))
    pen_width: Range = field(
        default=(0.02, 0.14), metadata=_about(0.004, 0.5, "of the frame", "How wide the pen's line is.")
    )
    size: Range = field(
        default=(0.25, 1.0), metadata=_about(0.05, 2.0, "of the frame", "The longer side of all the ink.")
    )
    position: Range = field(
        default=(0.0, 1.0),
        metadata=_about(
            0.0, 1.0, "of the free room", "Where it lies: 0 at the left or top, 1 at the right or bottom."
        ),
    )
    cut: float = field(
        default=0.15,
        metadata=_about(0.0, 1.0, "of the X and O", "How many are cut open by the frame, or by an edge near it."),
    )
    cut_depth: Range = field(
        default=(0.06, 0.27),
        metadata=_about(0.0, 0.35, "of the drawing", "How much of a cut one is missing, at most, on a side."),
    )
    rotation: Range = field(
        default=(-38.0, 38.0),
        metadata=_about(-40.0, 40.0, "degrees", "How far an X is turned; an O is turned any way."),
    )
    aspect: Range = field(
        default=(0.45, 2.2),
        metadata=_about(0.4, 2.5, "width to height", "How wide it is for its height, before it is turned."),
    )
    shear: Range = field(default=(-0.22, 0.22), metadata=_about(-0.5, 0.5, "of the height", "How far it leans."))
    bend: Range = field(
        default=(-0.15, 0.15), metadata=_about(-0.4, 0.4, "of the drawing", "How far it is bent into an arc.")
    )
    wobble: Range = field(
        default=(0.0, 0.02), metadata=_about(0.0, 0.1, "of the drawing", "How unsteady the hand is.")
    )
    arms: Range = field(
        default=(0.22, 1.0), metadata=_about(0.2, 1.0, "of the longest", "From the crossing to each end of an X.")
    )
    curve: Range = field(
        default=(-0.13, 0.13),
        metadata=_about(-0.3, 0.3, "of an arm", "How far the arms of an X are from straight."),
    )
    one_stroke: float = field(
        default=0.04, metadata=_about(0.0, 1.0, "of the X", "How many are drawn without lifting the pen.")
    )
    gap: Range = field(
        default=(-90.0, 70.0),
        metadata=_about(-180.0, 90.0, "degrees", "How far an O is open; below 0 its line runs past its start."),
    )
    drift: Range = field(
        default=(-0.14, 0.14),
        metadata=_about(-0.4, 0.4, "of the radius", "How much wider an O ends than it began."),
    )
    lumps: Range = field(
        default=(0.0, 0.05), metadata=_about(0.0, 0.15, "of the radius", "How far an O is from round.")
    )
    hook: Range = field(
        default=(0.0, 0.09), metadata=_about(0.0, 0.3, "of the drawing", "How far a line's ends may turn aside.")
    )
    pressure: Range = field(
        default=(-0.35, 0.35),
        metadata=_about(-0.9, 0.9, "of the pen width", "How the width changes near a line's ends."),
    )
    softness: Range = field(
        default=(0.5, 2.0), metadata=_about(0.0, 6.0, "pixels", "The width over which the edge of the ink fades.")
    )
    noise: Range = field(
        default=(0.0, 0.2),
        metadata=_about(0.0, 1.0, "of the ink", "The standard deviation of noise on the values; mostly low."),
    )
    coarse: float = field(
        default=0.06,
        metadata=_about(0.0, 1.0, "of all pictures", "How many are drawn in the whole squares of a coarse grid."),
    )
    neither: float = field(
        default=0.15, metadata=_about(0.0, 1.0, "of all pictures", "How many are neither an X nor an O.")
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
    if not all(isinstance(v, int | float) and least <= v <= most for v in values):
        raise ValueError(f"The setting {name} must be from {least} to {most} {unit}, not {value!r}.")
    if isinstance(setting.default, int) and not isinstance(value, int):
        raise ValueError(f"The setting {name} must be a whole number of {unit}, not {value!r}.")
    if values[0] > values[-1]:
        raise ValueError(f"The range of the setting {name} must not start above its end, as {value!r} does.")
