"""Settings of the X and O generator: the range of each property, its limits and its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from engine.data.data_kind import INPUT_GROUP, DataSettings
from engine.data.drawing_kind import MAX_SIDE, MIN_SIDE
from engine.form_fields import FormField, check_fields, form_field

Range = tuple[float, float]

MIN_SIZE: Final = 6.0  # pixels: a smaller X cannot be distinguished from an O
MIN_OTHER_SIZE: Final = 10.0  # pixels: a smaller square cannot be distinguished from an O
MIN_PEN_WIDTH: Final = 0.8  # pixels: a thinner line is hardly visible


def _metadata(
    name: str, least: float, most: float, unit: str, text: str, group: str = ""
) -> Mapping[str, FormField]:
    return form_field(FormField(name, text, unit=unit, group=group, least=least, most=most))


@dataclass(frozen=True)
class XOSettings(DataSettings):
    """The ranges from which the properties of each drawing are sampled. A pair is a range, low to high.

    The FormField of a field holds its label, limits, unit and description. A drawing is at least 6 pixels large and
    its pen 0.8 pixels wide, unless the whole range is below that.

    Raises ValueError for a setting outside its limits and for a range whose low is above its high.
    """

    kind: ClassVar[str] = "xo"
    side: int = field(
        default=32,
        metadata=_metadata(
            "side", MIN_SIDE, MAX_SIDE, "pixels", "The height and width of the pictures.", INPUT_GROUP
        ),
    )
    pen_width: Range = field(
        default=(0.015, 0.2), metadata=_metadata("pen width", 0.004, 0.5, "of the frame", "The width of the pen.")
    )
    size: Range = field(
        default=(0.125, 1.0),
        metadata=_metadata(
            "size", 0.05, 2.0, "of the frame", "The longer side of all the ink; each halving is as common."
        ),
    )
    position: Range = field(
        default=(0.0, 1.0),
        metadata=_metadata(
            "position",
            0.0,
            1.0,
            "of the free room",
            "The position: 0 at the left or top, 1 at the right or bottom.",
        ),
    )
    cut: float = field(
        default=0.15,
        metadata=_metadata(
            "cut off", 0.0, 1.0, "of the X and O", "How many are cut off by the frame, or by an edge near it."
        ),
    )
    cut_depth: Range = field(
        default=(0.06, 0.27),
        metadata=_metadata(
            "cut depth", 0.0, 0.35, "of the drawing", "The largest part that is cut off, on a side."
        ),
    )
    rotation: Range = field(
        default=(-36.0, 36.0),
        metadata=_metadata(
            "rotation", -40.0, 40.0, "degrees", "The rotation of an X; an O is rotated by any angle."
        ),
    )
    aspect: Range = field(
        default=(0.45, 2.2),
        metadata=_metadata("width:height", 0.4, 2.5, "width to height", "The aspect ratio before rotation."),
    )
    shear: Range = field(
        default=(-0.22, 0.22), metadata=_metadata("shear", -0.5, 0.5, "of the height", "The shear.")
    )
    bend: Range = field(
        default=(-0.15, 0.15),
        metadata=_metadata("bend", -0.4, 0.4, "of the drawing", "The bend into an arc."),
    )
    wobble: Range = field(
        default=(0.0, 0.02),
        metadata=_metadata("wobble", 0.0, 0.1, "of the drawing", "The unsteadiness of the lines."),
    )
    arms: Range = field(
        default=(0.3, 1.0),
        metadata=_metadata("arms of X", 0.2, 1.0, "of the longest", "From the crossing to each end of an X."),
    )
    curve: Range = field(
        default=(-0.13, 0.13),
        metadata=_metadata("curve of X", -0.3, 0.3, "of an arm", "The curvature of the arms of an X."),
    )
    one_stroke: float = field(
        default=0.03,
        metadata=_metadata("one-stroke X", 0.0, 1.0, "of the X", "How many are drawn without lifting the pen."),
    )
    cursive: float = field(
        default=0.18,
        metadata=_metadata("cursive X", 0.0, 1.0, "of the X", "How many are of two arcs or have an S-shaped arm."),
    )
    gap: Range = field(
        default=(-90.0, 85.0),
        metadata=_metadata(
            "gap of O", -180.0, 90.0, "degrees", "The gap in an O; below 0 its line runs past its start."
        ),
    )
    drift: Range = field(
        default=(-0.14, 0.14),
        metadata=_metadata("drift of O", -0.4, 0.4, "of the radius", "How much wider an O ends than it began."),
    )
    tail: float = field(
        default=0.25,
        metadata=_metadata(
            "tails of O", 0.0, 1.0, "of the O", "How many end in a tail, an inward hook or a loop, at the top."
        ),
    )
    lumps: Range = field(
        default=(0.0, 0.05),
        metadata=_metadata("lumps of O", 0.0, 0.15, "of the radius", "The deviation of an O from a circle."),
    )
    hook: Range = field(
        default=(0.0, 0.09),
        metadata=_metadata("hooks", 0.0, 0.3, "of the drawing", "The length of hooks at the ends of a line."),
    )
    pressure: Range = field(
        default=(-0.5, 0.5),
        metadata=_metadata(
            "pressure", -0.9, 0.9, "of the pen width", "The change of the width near the ends of a line."
        ),
    )
    nib: Range = field(
        default=(0.0, 0.6),
        metadata=_metadata(
            "flat nib", 0.0, 0.9, "of the pen width", "How much narrower lines are in one direction; mostly little."
        ),
    )
    rough: float = field(
        default=0.13,
        metadata=_metadata(
            "rough lines",
            0.0,
            1.0,
            "of all pictures",
            "How many have lines drawn several times, with ragged edges.",
        ),
    )
    softness: Range = field(
        default=(0.5, 2.0), metadata=_metadata("softness", 0.0, 6.0, "pixels", "The blur of the edge of the ink.")
    )
    noise: Range = field(
        default=(0.0, 0.15),
        metadata=_metadata(
            "noise", 0.0, 1.0, "of the ink", "The standard deviation of noise on the pixels; mostly low."
        ),
    )
    coarse: float = field(
        default=0.05,
        metadata=_metadata(
            "coarse grid", 0.0, 1.0, "of all pictures", "How many are drawn in the squares of a coarse grid."
        ),
    )
    ambiguous: float = field(
        default=0.03,
        metadata=_metadata(
            "ambiguous",
            0.0,
            1.0,
            "of the X and O",
            "How many could be neither; as many of those labelled neither look like them.",
        ),
    )
    neither: float = field(
        default=0.15,
        metadata=_metadata("neither", 0.0, 1.0, "of all pictures", "How many are neither an X nor an O."),
    )

    def __post_init__(self) -> None:
        check_fields(self)
