"""Reading: what one subject made of one picture, every layer's values included. Not a pass over a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np

from engine.backends.backend import Backend
from engine.drawings.raster import ink
from engine.nn.layers import Shape, ShapeError, shape_text
from engine.nn.losses import softmax
from engine.nn.model import Subject
from engine.nn.network import Network
from engine.nn.plan import Plan

HostArray: TypeAlias = "np.ndarray[Any, Any]"
# Which maps (or values of a list) are wanted of each layer, 0 the input; a layer that is not there is not wanted.
Wanted: TypeAlias = Mapping[int, range]


class Missing(LookupError):
    """Values were asked for that nobody had wanted when the picture was read."""


class Outputs(Sequence[HostArray]):
    """Arrays (C, H, W) or (n,), read-only, by layer, the input first.

    outputs[layer] is the whole of a layer, and raises Missing where that was not wanted; `maps` gives some of its
    maps; `holds` tells whether they are there.
    """

    def __init__(self, shapes: Sequence[Shape], parts: Mapping[int, tuple[int, HostArray]]) -> None:
        """parts: for each layer that was wanted, its first map and the array of those carried."""
        self.shapes = tuple(shapes)
        self._parts = dict(parts)
        for _, array in self._parts.values():
            array.flags.writeable = False

    @classmethod
    def whole(cls, arrays: Iterable[HostArray]) -> Outputs:
        """All of every layer."""
        kept = list(arrays)
        return cls([array.shape for array in kept], {layer: (0, array) for layer, array in enumerate(kept)})

    def __len__(self) -> int:
        """How many layers there are, the input included, whether they are there or not."""
        return len(self.shapes)

    @overload
    def __getitem__(self, layer: int) -> HostArray: ...
    @overload
    def __getitem__(self, layer: slice) -> tuple[HostArray, ...]: ...
    def __getitem__(self, layer: int | slice) -> HostArray | tuple[HostArray, ...]:
        """The whole of a layer, or of some. Raises Missing."""
        if isinstance(layer, slice):
            return tuple(self[at] for at in range(*layer.indices(len(self))))
        if not -len(self) <= layer < len(self):
            raise IndexError(f"There are {len(self)} layers, and no number {layer}.")
        layer %= len(self)
        return self.maps(layer, range(self.shapes[layer][0]))

    def maps(self, layer: int, wanted: range) -> HostArray:
        """Maps, or values of a list, `wanted` of a layer, as a view. Raises Missing."""
        if not self.holds(layer, wanted):
            raise Missing(f"Layer {layer} was read, but its maps {wanted.start} to {wanted.stop} were not wanted.")
        first, array = self._parts[layer]
        return array[wanted.start - first : wanted.stop - first]

    def holds(self, layer: int, wanted: range | None = None) -> bool:
        """Whether these maps of a layer are there, or all of it."""
        if layer not in self._parts:
            return False
        first, array = self._parts[layer]
        start, stop = (0, self.shapes[layer][0]) if wanted is None else (wanted.start, wanted.stop)
        return first <= start and stop <= first + len(array)

    @property
    def carried(self) -> Wanted:
        """What is there."""
        return {layer: range(first, first + len(array)) for layer, (first, array) in self._parts.items()}

    def parts(self) -> Iterator[tuple[int, range, HostArray]]:
        """What is there: layer, which maps, and their array."""
        for layer, (first, array) in sorted(self._parts.items()):
            yield layer, range(first, first + len(array)), array


def with_ends(wanted: Wanted, shapes: Sequence[Shape]) -> dict[int, range]:
    """What is wanted, cut to what there is, with the picture and the scores, which every reading has."""
    cut = {
        layer: range(max(maps.start, 0), min(maps.stop, shapes[layer][0]))
        for layer, maps in wanted.items()
        if 0 <= layer < len(shapes)
    }
    ends = {layer: range(shapes[layer][0]) for layer in (0, len(shapes) - 1)}
    return {layer: maps for layer, maps in {**cut, **ends}.items() if maps}


UNSURE = "unsure"
# Less ink than this share of the frame is a blank canvas: a single 32 x 32 pixel is 0.001.
BLANK_INK = 0.002
# On a GPU a pass is one thing; its layers can be timed only one by one, which takes many times as long. So often.
TIMED_EVERY = 50


@dataclass(frozen=True, eq=False)
class Reading:
    """outputs: the input and each layer's output, (C, H, W) or (n,), float32, read-only, as far as was wanted; the
    input and the scores always. votes: (classes,), the shares shown. verdict: a class name or "unsure".
    seconds: what each layer took, in order, when last timed."""

    subject: Subject
    outputs: Outputs
    votes: HostArray
    verdict: str
    seconds: tuple[float, ...]

    def trace(self) -> dict[str, HostArray]:
        """Every output by its key, 00-input first and the votes last. Raises Missing if not all were wanted."""
        network = self.subject.network
        values = dict(zip(network.names, self.outputs, strict=True))
        if network.vote == "softmax":
            values[f"{len(self.outputs):02d}-votes"] = self.votes
        return values


def side_of(subject: Subject) -> int:
    """How many rows and columns the drawing has for a subject. Raises ShapeError, one sentence, if its network does
    not read one square map, as drawings are."""
    channels, height, width = subject.network.input_shape
    if channels != 1 or height != width:
        raise ShapeError(
            f"{subject.name} reads {shape_text(subject.network.input_shape)}, "
            "but a drawing is one square map; choose a network with a 1 × n × n input."
        )
    return height


class Reader:
    """Reads one picture at a time with one subject, through a plan it keeps."""

    def __init__(self, subject: Subject, backend: Backend) -> None:
        """Raises ShapeError if the network does not read one square map, as drawings are."""
        self.subject, self.side = subject, side_of(subject)
        self._plan = Plan(subject.network, backend, 1, keep=True)
        self._plan.load(subject.parameters)
        self._one_by_one = backend.name == "cpu"
        self._seconds: tuple[float, ...] = ()
        self._readings = 0

    def follow(self, subject: Subject) -> None:
        """Read by other parameters of the same network from now on."""
        self.subject = subject
        self._plan.load(subject.parameters)

    def read(self, picture: HostArray, wanted: Wanted | None = None) -> Reading:
        """One pass over a picture (side, side) in -1..1. wanted: which maps to bring along, None for all. Raises
        ShapeError for another shape, ValueError for values that are not finite numbers."""
        if not np.isfinite(picture).all():
            raise ValueError(f"{self.subject.name} cannot read a picture with values that are not finite numbers.")
        # Weights may be so large that their products overflow; the verdict is then "unsure", not a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = self._outputs(picture[None, None], wanted)
            votes = votes_of(self.subject.network, outputs[-1])
        votes.flags.writeable = False
        return Reading(self.subject, outputs, votes, verdict(self.subject, votes, picture), self._seconds)

    def _outputs(self, images: HostArray, wanted: Wanted | None) -> Outputs:
        """Of one pass, which is timed where that costs nothing, or now and then."""
        timed = self._one_by_one or self._readings % TIMED_EVERY == 0
        if self._readings == 0 and not self._one_by_one:
            # The first time compiles, both ways, so that no later stroke has to wait for that.
            self._plan.forward_timed(images)
            self._untimed(images, wanted)
        self._readings += 1
        if not timed:
            return self._untimed(images, wanted)
        self._seconds = tuple(self._plan.forward_timed(images))
        return self._taken(self._plan.outputs()) if wanted is None else self._some(wanted)

    def _untimed(self, images: HostArray, wanted: Wanted | None) -> Outputs:
        """Of one pass: all as part of it, or some after it."""
        if wanted is None:
            return self._taken(self._plan.read(images))
        self._plan.forward(images)
        return self._some(wanted)

    def _taken(self, arrays: list[HostArray]) -> Outputs:
        return Outputs.whole(array[0] for array in arrays)

    def _some(self, wanted: Wanted) -> Outputs:
        """Of the last pass, and nothing else is carried over."""
        shapes = self.subject.network.shapes
        parts = self._plan.outputs_of(some := with_ends(wanted, shapes))
        return Outputs(shapes, {layer: (maps.start, parts[layer][0]) for layer, maps in some.items()})


def votes_of(network: Network, scores: HostArray) -> HostArray:
    """The shares shown for scores (..., classes): their softmax, or the scores where they are votes already."""
    return softmax(scores) if network.vote == "softmax" else scores.copy()


def verdict(subject: Subject, votes: HostArray, picture: HostArray) -> str:
    """The class with the most votes; "unsure" of a blank picture, votes that are no numbers, a tie, or
    a vote below the threshold."""
    top = int(votes.argmax())
    if ink(picture) < BLANK_INK or not np.isfinite(votes).all() or (votes == votes[top]).sum() > 1:
        return UNSURE
    if subject.threshold is not None and votes[top] < subject.threshold:
        return UNSURE
    return subject.network.classes[top]
