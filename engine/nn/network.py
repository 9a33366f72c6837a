"""Network: layers in order, the shape of what they read and the classes they tell apart. It holds no weights."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from engine.nn.layers import LAYERS, Cost, Dense, Layer, Residual, Shape, ShapeError, Values, shape_text
from engine.nn.layers.layer import by_layer
from engine.nn.layers.residual import DEEPEST

Parameters: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"

GIBIBYTE = 1 << 30
# Beyond these no machine of a person who draws letters gets anywhere; an eight-megapixel photograph stays below.
PICTURE_LIMIT = 8 * GIBIBYTE
WEIGHT_LIMIT = 1 * GIBIBYTE


@dataclass(frozen=True)
class Network:
    """A network's architecture, checked when built.

    input_shape: (channels, height, width). classes: their names, one for each score. vote: how scores become the
    votes shown, "softmax" or, where the last layer's values are votes already, "score".
    Raises ShapeError, naming the layer and the two shapes, if neighbours do not fit, ValueError for the rest, such
    as one picture that would take more memory than PICTURE_LIMIT.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ("X", "O")
    vote: Literal["softmax", "score"] = "softmax"

    def __post_init__(self) -> None:
        """Checks everything that can be checked without weights."""
        if len(self.input_shape) != 3 or not all(map(_is_side, self.input_shape)):
            raise ShapeError(
                "A network reads channels × height × width, three whole numbers of at least 1, "
                f"not {reprlib.repr(self.input_shape)}."
            )
        if not self.layers:
            raise ValueError("A network needs at least one layer.")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"A network needs two or more different classes, not {self.classes!r}.")
        if self.vote not in ("softmax", "score"):
            raise ValueError(f'A network\'s vote must be "softmax" or "score", not {self.vote!r}.')
        if self.shapes[-1] != (len(self.classes),):
            raise ShapeError(
                f"The last layer, {self.title(len(self.layers))}, gives {shape_text(self.shapes[-1])} where "
                f"the {len(self.classes)} classes need a list of {len(self.classes)}."
            )
        self._check_size()

    def _check_size(self) -> None:
        """Raises ValueError for a network that no one could run, before anything is allocated for it."""
        holds = [0, *(4 * cost.parameters for cost in self.costs)]
        takes = self._taken
        for sizes, what, limit in ((takes, "one picture", PICTURE_LIMIT), (holds, "its parameters", WEIGHT_LIMIT)):
            if sum(sizes) > limit:
                place = sizes.index(max(sizes))
                raise ValueError(
                    f"The network would take more than {limit // GIBIBYTE} GiB for {what}, most of it in "
                    f"{self.title(place) if place else 'the input'}; make it smaller."
                )

    @property
    def picture_bytes(self) -> int:
        """About how many bytes one picture takes in a plan of float32."""
        return sum(self._taken)

    @property
    def _taken(self) -> list[int]:
        """About how many bytes the picture, and every layer's output and work, take in a plan."""
        pairs = zip(self.layers, self.shapes, strict=False)
        return [4 * math.prod(self.input_shape), *(layer.pass_bytes(shape) for layer, shape in pairs)]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The input's shape and every layer's output shape, without the batch."""
        shapes: list[Shape] = [self.input_shape]
        for place, layer in enumerate(self.layers, 1):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                below = "the input" if place == 1 else self.title(place - 1)
                raise ShapeError(
                    f"The network's {self.title(place)} does not fit on {below}, {shape_text(shapes[-1])}: {error}."
                ) from error
        return tuple(shapes)

    def title(self, place: int) -> str:
        """How an error names the layer at `place`, counted from 1."""
        return f"layer {place} ({type(self.layers[place - 1]).__name__})"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A key for the input and each layer's output: 00-input, 01-conv2d, ..."""
        return "00-input", *layer_names(self.layers)

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        """The shape of every parameter by its name, such as 01-conv2d.weight, and of what layers gather, such as
        02-batchnorm2d.mean."""
        shapes: dict[str, Shape] = {}
        for name, layer, shape in zip(self.names[1:], self.layers, self.shapes, strict=False):
            for block, views_of in (
                (layer.block_shape(shape), layer.parameters),
                (layer.state_shape(shape), layer.state),
            ):
                if block is not None:
                    # A single number seen as the whole block: its views have the shapes, and no memory is taken.
                    views = views_of(np.broadcast_to(np.float32(0), block), shape)
                    shapes.update((f"{name}.{part}", view.shape) for part, view in views.items())
        return shapes

    @cached_property
    def signed(self) -> tuple[bool, ...]:
        """Whether the values of the input and of every layer can be below 0."""
        found = [True]
        for layer in self.layers:
            found.append(layer.signed(found[-1]))
        return tuple(found)

    @cached_property
    def scales(self) -> tuple[int, ...]:
        """For the input (0) and every layer, whose scale its values share: the last layer that rescaled them."""
        found = [0]
        for place, layer in enumerate(self.layers, 1):
            found.append(place if layer.rescales else found[-1])
        return tuple(found)

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """What one picture costs in each layer."""
        return tuple(layer.cost(shape) for layer, shape in zip(self.layers, self.shapes, strict=False))

    def with_classes(self, classes: tuple[str, ...]) -> Network:
        """The same network for these classes, with as many outputs of its last Dense. Raises ValueError where none
        of its layers is one, or the layers after it do not allow for it."""
        layers = self.layers
        if len(classes) == len(self.classes):
            return replace(self, classes=classes)
        for place, layer in reversed(list(enumerate(layers))):
            if isinstance(layer, Dense):
                fitted = replace(layer, units=len(classes))
                return replace(self, layers=(*layers[:place], fitted, *layers[place + 1 :]), classes=classes)
        raise ValueError(
            f"The network tells {len(self.classes)} classes apart, and without a Dense layer it cannot be made to "
            f"tell {len(classes)}; choose another."
        )

    def initial(self, seed: int) -> Values:
        """Fresh parameters, float32, by name; the same seed gives the same bytes."""
        rng = np.random.default_rng(seed)
        values: Values = {}
        for name, layer, shape in zip(self.names[1:], self.layers, self.shapes, strict=False):
            values.update((f"{name}.{part}", array) for part, array in layer.initial(shape, rng).items())
        return values

    def measured(self, images: np.ndarray[Any, Any]) -> Values:
        """What the first layer measures on the pictures (N, C, H, W) of a run that begins, by name, to stand beside
        fresh parameters."""
        return {f"{self.names[1]}.{part}": array for part, array in self.layers[0].measured(images).items()}

    def check(self, parameters: Parameters) -> None:
        """Raises ShapeError unless `parameters` are exactly those this network needs, ValueError unless finite."""
        for name, shape in self.parameter_shapes.items():
            if name not in parameters:
                raise ShapeError(f"The network needs {name} ({shape_text(shape)}), which is missing.")
            if parameters[name].shape != shape:
                raise ShapeError(
                    f"The network needs {name} to be {shape_text(shape)}, "
                    f"but it is {shape_text(parameters[name].shape)}."
                )
            if not np.isfinite(parameters[name]).all():
                raise ValueError(f"The network's {name} holds values that are not finite numbers.")
        if unknown := sorted(set(parameters) - set(self.parameter_shapes)):
            raise ShapeError(f"The network has no place for {unknown[0]}.")
        parts = by_layer(parameters)
        for name, layer in zip(self.names[1:], self.layers, strict=True):
            try:
                layer.check(parts.get(name, {}))
            except ValueError as error:
                raise ValueError(f"The network's {name}.{error}.") from error

    def places(self, names: Collection[str]) -> set[int]:
        """Where the layers of these names (01-conv2d) stand, counted from 0. Raises ValueError for one that is not
        there."""
        known = {name: place for place, name in enumerate(self.names[1:])}
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(
                f"The network has no layer called {unknown[0]} that could be frozen; its layers are "
                f"{', '.join(known)}."
            )
        return {known[name] for name in names}

    def to_json(self) -> dict[str, Any]:
        """Everything about it as plain lists, numbers and words."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [_described(layer) for layer in self.layers],
            "classes": list(self.classes),
            "vote": self.vote,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Network:
        """The network that to_json described. Raises ValueError with one sentence if it is no such thing."""
        try:
            layers = _layers(data["layers"], "Layer", 0)
            rest = {name: data[name] for name in ("input_shape", "classes", "vote")}
            return msgspec.convert(rest | {"layers": ()}, _Described).build(layers)
        except KeyError as error:
            raise ValueError(f"This does not describe a network: it does not say {error}.") from error
        except (TypeError, msgspec.ValidationError) as error:
            raise ValueError(f"This does not describe a network: {error}.") from error


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """A key for each layer: 01-conv2d, ..."""
    return [f"{place:02d}-{layer.kind}" for place, layer in enumerate(layers, 1)]


class _Described(msgspec.Struct):
    """The parts of a described network other than its layers."""

    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    vote: Literal["softmax", "score"]

    def build(self, layers: tuple[Layer, ...]) -> Network:
        return Network(self.input_shape, layers, self.classes, self.vote)


def _described(layer: Layer) -> dict[str, Any]:
    """A layer as plain values: its kind, and each setting by its name; the layers of a stack likewise."""
    settings = {setting.name: getattr(layer, setting.name) for setting in fields(layer)}
    if isinstance(layer, Residual):
        settings["layers"] = [_described(inner) for inner in layer.layers]
    return {"layer": type(layer).__name__} | settings


def _layers(items: Any, called: str, depth: int) -> tuple[Layer, ...]:
    """Layers from their descriptions. Raises ValueError, one sentence that says which of them is wrong and why."""
    if not isinstance(items, list):
        raise ValueError(f"This does not describe a network: its layers are no list, but {reprlib.repr(items)}.")
    layers = []
    for place, item in enumerate(items, 1):
        try:
            layers.append(_layer(item, depth))
        except (ValueError, msgspec.ValidationError) as error:
            raise ValueError(f"{called} {place} cannot be built: {error}") from error
    return tuple(layers)


def _layer(item: Any, depth: int) -> Layer:
    """One layer from its description. Raises ValueError."""
    if not isinstance(item, Mapping):
        raise ValueError(f"{reprlib.repr(item)} does not describe one.")
    settings = dict(item)
    kind = settings.pop("layer", None)
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"There is no kind called {reprlib.repr(kind)}; there are {', '.join(LAYERS)}.")
    unknown = set(settings) - set(LAYERS[kind].__dataclass_fields__)
    if unknown:
        raise ValueError(f"{kind} has no setting called {sorted(unknown)[0]!r}.")
    if LAYERS[kind] is Residual:
        if depth >= DEEPEST or not isinstance(settings.get("layers"), list):
            raise ValueError(f"{kind} needs a list of layers, stacks within stacks {DEEPEST} deep at most.")
        return Residual(_layers(settings["layers"], "Its layer", depth + 1))
    try:
        return msgspec.convert(settings, LAYERS[kind])
    except msgspec.ValidationError as error:
        # The layer's own sentence says which kind it is; a wrong type is found before the layer is asked.
        mine = str(error).startswith(f"{kind}'s ")
        raise ValueError(str(error) if mine else f"{kind} is described wrongly: {error}.") from error


def _is_side(value: object) -> bool:
    """Whether this is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
