"""Network: an architecture: layers in order, the input shape and the class names."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from engine.charts import html_table
from engine.form_fields import conversion_reason
from engine.nn.layers import (
    LAYERS,
    MAX_NESTING,
    Arrays,
    Cost,
    Dense,
    Layer,
    Residual,
    Shape,
    ShapeError,
    group_by_layer,
    shape_text,
)

Parameters: TypeAlias = "Mapping[str, np.ndarray[Any, Any]]"

GIBIBYTE = 1 << 30
# Limits of what a personal computer can run; an eight-megapixel photograph stays below.
IMAGE_BYTES_LIMIT = 8 * GIBIBYTE
PARAMETER_BYTES_LIMIT = 1 * GIBIBYTE


@dataclass(frozen=True)
class Network:
    """A network's architecture, checked when built.

    input_shape: (channels, height, width)
    classes: their names, one per score
    vote: how scores become the votes shown: "softmax", or "score" if the last layer's values are votes already
    Raises ShapeError, naming the layer and both shapes, if neighbouring layers do not fit, ValueError for the rest,
    such as an image that would need more memory than IMAGE_BYTES_LIMIT.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...] = ("X", "O")
    vote: Literal["softmax", "score"] = "softmax"

    def __post_init__(self) -> None:
        for name in ("input_shape", "layers", "classes"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.input_shape) != 3 or not all(map(_is_positive_int, self.input_shape)):
            raise ShapeError(
                "A network's input is channels × height × width, three whole numbers of at least 1, "
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
                f"The last layer, {self.layer_title(len(self.layers))}, gives {shape_text(self.shapes[-1])} where "
                f"the {len(self.classes)} classes need a vector of {len(self.classes)}."
            )
        self._check_size()

    def _check_size(self) -> None:
        """Raises ValueError for a network too large to run, before anything is allocated."""
        parameter_bytes = [0, *(4 * cost.parameters for cost in self.costs)]
        plan_bytes = self._bytes_by_layer
        for sizes, what, limit in (
            (plan_bytes, "one picture", IMAGE_BYTES_LIMIT),
            (parameter_bytes, "its parameters", PARAMETER_BYTES_LIMIT),
        ):
            if sum(sizes) > limit:
                index = sizes.index(max(sizes))
                raise ValueError(
                    f"The network would take more than {limit // GIBIBYTE} GiB for {what}, most of it in "
                    f"{self.layer_title(index) if index else 'the input'}; make it smaller."
                )

    @property
    def image_bytes(self) -> int:
        """Approximate bytes of one image in a float32 plan."""
        return sum(self._bytes_by_layer)

    @property
    def _bytes_by_layer(self) -> list[int]:
        """Approximate bytes of the input, and of every layer's output and workspace, in a plan."""
        pairs = zip(self.layers, self.shapes, strict=False)
        return [4 * math.prod(self.input_shape), *(layer.plan_bytes(shape) for layer, shape in pairs)]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The input's shape and every layer's output shape, without the batch."""
        shapes: list[Shape] = [self.input_shape]
        for index, layer in enumerate(self.layers, 1):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ShapeError as error:
                below = "the input" if index == 1 else self.layer_title(index - 1)
                raise ShapeError(
                    f"The network's {self.layer_title(index)} does not fit on {below}, "
                    f"{shape_text(shapes[-1])}: {error}."
                ) from error
        return tuple(shapes)

    def layer_title(self, index: int) -> str:
        """The name of the layer at `index`, counted from 1, in error messages."""
        return f"layer {index} ({type(self.layers[index - 1]).__name__})"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A key for the input and each layer's output: 00-input, 01-conv2d, ..."""
        return "00-input", *layer_names(self.layers)

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        """The shape of every parameter by name, such as 01-conv2d.weight, and of every buffer, such as
        02-batchnorm2d.mean."""
        shapes: dict[str, Shape] = {}
        for name, layer, shape in zip(self.names[1:], self.layers, self.shapes, strict=False):
            for block, views_of in (
                (layer.parameter_shape(shape), layer.parameter_views),
                (layer.buffer_shape(shape), layer.buffer_views),
            ):
                if block is not None:
                    # A number broadcast to the array: its views have the right shapes and take no memory.
                    views = views_of(np.broadcast_to(np.float32(0), block), shape)
                    shapes.update((f"{name}.{part}", view.shape) for part, view in views.items())
        return shapes

    @cached_property
    def can_be_negative(self) -> tuple[bool, ...]:
        """Whether the values of the input and of every layer can be negative."""
        signed = [True]
        for layer in self.layers:
            signed.append(layer.can_be_negative(signed[-1]))
        return tuple(signed)

    @cached_property
    def scale_sources(self) -> tuple[int, ...]:
        """For the input (0) and every layer, the last layer that changed the scale of its values."""
        sources = [0]
        for index, layer in enumerate(self.layers, 1):
            sources.append(index if layer.changes_scale else sources[-1])
        return tuple(sources)

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """The cost of one image in each layer."""
        return tuple(layer.cost(shape) for layer, shape in zip(self.layers, self.shapes, strict=False))

    def _repr_html_(self) -> str:
        """The layers as a table, for a notebook."""
        return html_table(
            ("layer", "output", "parameters", "multiplies"),
            [
                (name, shape_text(shape), f"{cost.parameters:,}", f"{cost.multiplies:,}")
                for name, shape, cost in zip(self.names, self.shapes, (Cost(0, 0, 0), *self.costs), strict=True)
            ],
        )

    def with_classes(self, classes: tuple[str, ...]) -> Network:
        """The same network for these classes, with as many outputs of its last Dense. Raises ValueError without a
        Dense layer, or if the layers after it do not fit."""
        layers = self.layers
        if len(classes) == len(self.classes):
            return replace(self, classes=classes)
        for index, layer in reversed(list(enumerate(layers))):
            if isinstance(layer, Dense):
                fitted = replace(layer, units=len(classes))
                return replace(self, layers=(*layers[:index], fitted, *layers[index + 1 :]), classes=classes)
        raise ValueError(
            f"The network has {len(self.classes)} classes, and without a Dense layer it cannot be changed to "
            f"{len(classes)}; choose another."
        )

    def initial_parameters(self, seed: int) -> Arrays:
        """Initial parameters and buffers, float32, by name; the same seed gives the same bytes."""
        rng = np.random.default_rng(seed)
        values: Arrays = {}
        for name, layer, shape in zip(self.names[1:], self.layers, self.shapes, strict=False):
            values.update((f"{name}.{part}", array) for part, array in layer.initial_parameters(shape, rng).items())
        return values

    def fit_input_statistics(self, images: np.ndarray[Any, Any]) -> Arrays:
        """The buffers, by name, that the first layer computes from the training images (N, C, H, W), to complete
        initial parameters."""
        return {f"{self.names[1]}.{part}": array for part, array in self.layers[0].fit(images).items()}

    def check_parameters(self, parameters: Parameters) -> None:
        """Raises ShapeError unless `parameters` are exactly this network's, ValueError unless they are finite."""
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
            raise ShapeError(f"The network has no parameter {unknown[0]}.")
        parts = group_by_layer(parameters)
        for name, layer in zip(self.names[1:], self.layers, strict=True):
            try:
                layer.check_parameters(parts.get(name, {}))
            except ValueError as error:
                raise ValueError(f"The network's {name}.{error}.") from error

    def layer_indices(self, names: Collection[str]) -> set[int]:
        """The indices, from 0, of the layers with these names (01-conv2d). Raises ValueError for an unknown
        name."""
        known = {name: index for index, name in enumerate(self.names[1:])}
        if unknown := sorted(set(names) - set(known)):
            raise ValueError(
                f"The network has no layer called {unknown[0]} that could be frozen; its layers are "
                f"{', '.join(known)}."
            )
        return {known[name] for name in names}

    def to_json(self) -> dict[str, Any]:
        """The architecture as lists, numbers and strings."""
        return {
            "input_shape": list(self.input_shape),
            "layers": [_layer_to_json(layer) for layer in self.layers],
            "classes": list(self.classes),
            "vote": self.vote,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Network:
        """The network that to_json wrote. Raises ValueError, one sentence, for anything else."""
        try:
            layers = _layers_from_json(data["layers"], "Layer", 0)
            rest = {name: data[name] for name in ("input_shape", "classes", "vote")}
            return msgspec.convert(rest | {"layers": ()}, _NetworkFields).build(layers)
        except KeyError as error:
            raise ValueError(f"This does not describe a network: {error} is missing.") from error
        except (TypeError, msgspec.ValidationError) as error:
            reason = conversion_reason(error) if isinstance(error, msgspec.ValidationError) else error
            raise ValueError(f"This does not describe a network: {reason}.") from error


def layer_names(layers: Sequence[Layer]) -> list[str]:
    return [f"{index:02d}-{layer.kind}" for index, layer in enumerate(layers, 1)]


class _NetworkFields(msgspec.Struct):
    """The saved fields of a network, other than its layers."""

    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    vote: Literal["softmax", "score"]

    def build(self, layers: tuple[Layer, ...]) -> Network:
        return Network(self.input_shape, layers, self.classes, self.vote)


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    """A layer as plain values: its kind, and each hyperparameter by name; the layers of a block likewise."""
    settings = {setting.name: getattr(layer, setting.name) for setting in fields(layer)}
    if isinstance(layer, Residual):
        settings["layers"] = [_layer_to_json(inner) for inner in layer.layers]
    return {"layer": type(layer).__name__} | settings


def _layers_from_json(items: Any, title: str, depth: int) -> tuple[Layer, ...]:
    """Raises ValueError, one sentence that names the layer and the reason."""
    if not isinstance(items, list):
        raise ValueError(f"This does not describe a network: its layers must be a list, not {reprlib.repr(items)}.")
    layers = []
    for index, item in enumerate(items, 1):
        try:
            layers.append(_layer_from_json(item, depth))
        except (ValueError, msgspec.ValidationError) as error:
            raise ValueError(f"{title} {index} cannot be built: {error}") from error
    return tuple(layers)


def _layer_from_json(item: Any, depth: int) -> Layer:
    if not isinstance(item, Mapping):
        raise ValueError(f"{reprlib.repr(item)} does not describe one.")
    settings = dict(item)
    kind = settings.pop("layer", None)
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"There is no layer called {reprlib.repr(kind)}; there are {', '.join(LAYERS)}.")
    unknown = set(settings) - set(LAYERS[kind].__dataclass_fields__)
    if unknown:
        raise ValueError(f"{kind} has no setting called {sorted(unknown)[0]!r}.")
    if LAYERS[kind] is Residual:
        if depth >= MAX_NESTING or not isinstance(settings.get("layers"), list):
            raise ValueError(f"{kind} needs a list of layers, nested at most {MAX_NESTING} deep.")
        return Residual(_layers_from_json(settings["layers"], "Its layer", depth + 1))
    try:
        return msgspec.convert(settings, LAYERS[kind])
    except msgspec.ValidationError as error:
        # The layer's own message names its kind; msgspec's message about a wrong type does not.
        is_complete = str(error).startswith(f"{kind}'s ")
        raise ValueError(
            str(error) if is_complete else f"{kind} is described wrongly: {conversion_reason(error, settings)}."
        ) from error


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
