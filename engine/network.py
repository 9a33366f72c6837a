"""Network: layers in order, the shape of what they read and the classes they tell apart. It holds no weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from engine.layers import LAYERS, Cost, Layer, Residual, Shape, ShapeError, Values, shape_text
from engine.layers.residual import DEEPEST

Parameters: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"


@dataclass(frozen=True)
class Network:
    """A network's architecture, checked when built.

    input_shape: (channels, height, width). classes: their names, one for each score. vote: how scores become the
    votes shown, "softmax" or, where the last layer's values are votes already, "score".
    Raises ShapeError, naming the layer and the two shapes, if neighbours do not fit, ValueError for the rest.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ("X", "O")
    vote: Literal["softmax", "score"] = "softmax"

    def __post_init__(self) -> None:
        """Checks everything that can be checked without weights."""
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise ShapeError(f"A network reads channels × height × width, not {self.input_shape!r}.")
        if not self.layers:
            raise ValueError("A network needs at least one layer.")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"A network needs two or more different classes, not {self.classes!r}.")
        if self.shapes[-1] != (len(self.classes),):
            raise ShapeError(
                f"The last layer, {self.title(len(self.layers))}, gives {shape_text(self.shapes[-1])} where "
                f"the {len(self.classes)} classes need a list of {len(self.classes)}."
            )

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
    def costs(self) -> tuple[Cost, ...]:
        """What one picture costs in each layer."""
        return tuple(layer.cost(shape) for layer, shape in zip(self.layers, self.shapes, strict=False))

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

    def check_layers(self, names: Collection[str]) -> None:
        """Raises ValueError unless each of `names` (01-conv2d) is a layer's."""
        if unknown := sorted(set(names) - set(self.names[1:])):
            raise ValueError(
                f"The network has no layer called {unknown[0]} that could be frozen; its layers are "
                f"{', '.join(self.names[1:])}."
            )

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
            layers = tuple(_layer(item) for item in data["layers"])
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


def _layer(item: Mapping[str, Any], depth: int = 0) -> Layer:
    """One layer from its description. Raises ValueError or msgspec.ValidationError."""
    if not isinstance(item, Mapping):
        raise ValueError(f"This does not describe a layer: {item!r}.")
    settings = dict(item)
    kind = settings.pop("layer", None)
    if kind not in LAYERS:
        raise ValueError(f"There is no layer called {kind!r}; there are {', '.join(LAYERS)}.")
    unknown = set(settings) - set(LAYERS[kind].__dataclass_fields__)
    if unknown:
        raise ValueError(f"{kind} has no setting called {sorted(unknown)[0]!r}.")
    if LAYERS[kind] is Residual:
        if depth >= DEEPEST or not isinstance(settings.get("layers"), list):
            raise ValueError(f"{kind} needs a list of layers, stacks within stacks {DEEPEST} deep at most.")
        return Residual(tuple(_layer(inner, depth + 1) for inner in settings["layers"]))
    return msgspec.convert(settings, LAYERS[kind])
