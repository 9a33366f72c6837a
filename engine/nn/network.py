"""Network: an architecture: layers in order, the input shape and the class names."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
import numpy as np

from engine.charts import html_table
from engine.form_fields import conversion_reason
from engine.nn.layers import (
    LAYERS,
    MAX_NESTING,
    VALID_IDS,
    Arrays,
    Cost,
    Layer,
    Residual,
    Shape,
    ShapeError,
    are_ids,
    default_ids,
    group_by_layer,
    new_id,
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
    ids: the identity of each layer, by which parameters, frozen layers, training and files name it, and which edits
        keep; by default its kind and number: conv2d-1, relu-1, conv2d-2, ...
    retired: ids of layers that edits removed, in a block as residual-1.conv2d-2; no new layer gets one
    Raises ShapeError, naming the layer and both shapes, if neighbouring layers do not fit, ValueError for the rest,
    such as an image that would need more memory than IMAGE_BYTES_LIMIT.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    classes: tuple[str, ...]
    vote: Literal["softmax", "score"] = "softmax"
    ids: tuple[str, ...] = field(default=(), repr=False)
    retired: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("input_shape", "layers", "classes", "ids"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.input_shape) != 3 or not all(map(_is_positive_int, self.input_shape)):
            raise ShapeError(
                "A network's input is channels × height × width, three whole numbers of at least 1, "
                f"not {reprlib.repr(self.input_shape)}."
            )
        if not self.layers:
            raise ValueError("A network needs at least one layer.")
        if self.ids == ():
            object.__setattr__(self, "ids", default_ids(self.layers))
        elif not are_ids(self.ids, self.layers):
            raise ValueError(f"A network's ids must be {VALID_IDS}, not {reprlib.repr(self.ids)}.")
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
        """A key for the input and each layer's output: input, conv2d-1, relu-1, ..."""
        return "input", *self.ids

    @property
    def numbered_names(self) -> tuple[str, ...]:
        """The input and the layers in order, by position and kind: 00-input, 01-conv2d, ..."""
        return "00-input", *(f"{index:02d}-{layer.kind}" for index, layer in enumerate(self.layers, 1))

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        """The shape of every parameter by name, such as conv2d-1.weight, and of every buffer, such as
        batchnorm2d-1.mean."""
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
    def learnable_shapes(self) -> dict[str, Shape]:
        """The shape of every parameter that training changes by gradients, by name."""
        buffers = {
            f"{name}.{part}"
            for name, layer, shape in zip(self.ids, self.layers, self.shapes, strict=False)
            if (stored := layer.buffer_shape(shape)) is not None
            for part in layer.buffer_views(np.broadcast_to(np.float32(0), stored), shape)
        }
        return {name: shape for name, shape in self.parameter_shapes.items() if name not in buffers}

    @cached_property
    def can_be_negative(self) -> tuple[bool, ...]:
        """Whether the values of the input and of every layer can be negative."""
        signed = [True]
        for layer in self.layers:
            signed.append(layer.traits.can_be_negative(signed[-1]))
        return tuple(signed)

    @cached_property
    def scale_sources(self) -> tuple[int, ...]:
        """For the input (0) and every layer, the last layer that changed the scale of its values."""
        sources = [0]
        for index, layer in enumerate(self.layers, 1):
            sources.append(index if layer.traits.changes_scale else sources[-1])
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

    @cached_property
    def class_layer(self) -> int | None:
        """The index, from 0, of the layer that has an output per class; None if its outputs cannot be changed."""
        outputs = range(len(self.classes))
        found = (at for at, layer in enumerate(self.layers) if layer.with_outputs(outputs) is not None)
        return max(found, default=None)

    def with_classes(self, classes: tuple[str, ...], kept: Sequence[int | None] | None = None) -> Network:
        """The same network for these classes, with as many outputs of its last Dense.

        kept: for each class the present one, counted from 0, whose output it keeps, None for a new one; by default
            the classes have the present outputs in order
        Raises ValueError without a Dense layer, or if the layers after it do not fit.
        """
        present = range(len(self.classes))
        outputs = [at if at in present else None for at in range(len(classes))] if kept is None else list(kept)
        if outputs == list(present):
            return replace(self, classes=classes)
        layers, at = self.layers, self.class_layer
        if at is not None and (fitted := layers[at].with_outputs(outputs)) is not None:
            return replace(self, layers=(*layers[:at], fitted, *layers[at + 1 :]), classes=classes)
        raise ValueError(
            f"The network has {len(self.classes)} classes, and without a Dense layer it cannot be changed to "
            f"{len(classes)}; choose another."
        )

    def insert_layer(self, index: int, layer: Layer, block: str = "") -> Network:
        """The network with another layer before the one at `index`, counted from 0; the others keep their ids.

        block: the block that the layer is put into (residual-1, or residual-1.residual-2 inside another), "" for
        the network itself; `index` counts its layers. Raises ShapeError or ValueError if the network would not fit
        together.
        """
        path = block.split(".") if block else []

        def edit(holder: Network | Residual) -> _Layers:
            name = new_id(layer, [*holder.ids, *self._retired_in(path)])
            layers, ids = list(holder.layers), list(holder.ids)
            layers.insert(index, layer)
            ids.insert(index, name)
            return tuple(layers), tuple(ids)

        return _with_edited_chain(self, path, edit)

    def remove_layer(self, name: str) -> Network:
        """The network without the layer of this id, in a block residual-1.conv2d-2. Raises ShapeError or ValueError
        if the rest does not fit together."""
        *path, own = name.split(".")

        def edit(holder: Network | Residual) -> _Layers:
            at = _index_of(holder, own)
            return holder.layers[:at] + holder.layers[at + 1 :], holder.ids[:at] + holder.ids[at + 1 :]

        return replace(_with_edited_chain(self, path, edit), retired=(*self.retired, name))

    def move_layer(self, name: str, index: int) -> Network:
        """The network with a layer moved to `index`, counted from 0, in the network or block that it is in. Raises
        ShapeError or ValueError if it does not fit there."""
        *path, own = name.split(".")

        def edit(holder: Network | Residual) -> _Layers:
            layers, ids = list(holder.layers), list(holder.ids)
            at = _index_of(holder, own)
            layers.insert(index, layers.pop(at))
            ids.insert(index, ids.pop(at))
            return tuple(layers), tuple(ids)

        return _with_edited_chain(self, path, edit)

    def replace_layer(self, name: str, layer: Layer) -> Network:
        """The network with `layer` in the place of the one of this id, which stays the id if both are of one kind,
        as when a hyperparameter changes. Raises ShapeError or ValueError if it does not fit."""
        *path, own = name.split(".")
        retired = self.retired

        def edit(holder: Network | Residual) -> _Layers:
            nonlocal retired
            at, changed = _index_of(holder, own), own
            if type(layer) is not type(holder.layers[at]):
                changed = new_id(layer, [*holder.ids, *self._retired_in(path)])
                retired = (*retired, name)
            return (
                (*holder.layers[:at], layer, *holder.layers[at + 1 :]),
                (*holder.ids[:at], changed, *holder.ids[at + 1 :]),
            )

        edited = _with_edited_chain(self, path, edit)
        return replace(edited, retired=retired)

    def _retired_in(self, path: Sequence[str]) -> list[str]:
        """The retired ids of a block, without those of blocks inside it."""
        return [own for *block, own in (name.split(".") for name in self.retired) if block == list(path)]

    def initial_parameters(self, seed: int) -> Arrays:
        """Initial parameters and buffers, float32, by name; the same seed gives the same bytes."""
        rng = np.random.default_rng(seed)
        values: Arrays = {}
        for name, layer, shape in zip(self.names[1:], self.layers, self.shapes, strict=False):
            values.update((f"{name}.{part}", array) for part, array in layer.initial_parameters(shape, rng).items())
        return values

    def carry_parameters(self, parameters: Parameters, seed: int) -> Arrays:
        """The parameters of an earlier state of this network, by id; those of layers that are new, or whose
        parameters no longer fit, are initial ones."""
        fresh = self.initial_parameters(seed)
        shapes = {name: np.shape(values) for name, values in parameters.items()}
        changed = {name.rpartition(".")[0] for name, values in fresh.items() if shapes.get(name) != values.shape}
        return {
            name: values if name.rpartition(".")[0] in changed else np.asarray(parameters[name])
            for name, values in fresh.items()
        }

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
        """The indices, from 0, of the layers with these names (conv2d-1). Raises ValueError for an unknown
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
            "layers": _layers_to_json(self),
            "classes": list(self.classes),
            "vote": self.vote,
            "retired": list(self.retired),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Network:
        """The network that to_json wrote; layers without ids get the default ones. Raises ValueError, one sentence,
        for anything else."""
        try:
            layers, ids = _layers_from_json(data["layers"], "Layer", 0)
            rest = {name: data[name] for name in ("input_shape", "classes", "vote")}
            return msgspec.convert(rest | {"retired": data.get("retired", ())}, _NetworkFields).build(layers, ids)
        except KeyError as error:
            raise ValueError(f"This does not describe a network: {error} is missing.") from error
        except (TypeError, msgspec.ValidationError) as error:
            reason = conversion_reason(error) if isinstance(error, msgspec.ValidationError) else error
            raise ValueError(f"This does not describe a network: {reason}.") from error


_Chain = TypeVar("_Chain", Network, Residual)
_Layers: TypeAlias = "tuple[tuple[Layer, ...], tuple[str, ...]]"


def _with_edited_chain(
    holder: _Chain, path: Sequence[str], edit: Callable[[Network | Residual], _Layers]
) -> _Chain:
    """The network or block with `edit` applied to itself, or to the block inside it that `path` names."""
    if not path:
        layers, ids = edit(holder)
        return replace(holder, layers=layers, ids=ids)
    at: int = _index_of(holder, path[0])
    inner = holder.layers[at]
    if not isinstance(inner, Residual):
        raise ValueError(f"{path[0]} is no block, so there are no layers in it.")
    changed = _with_edited_chain(inner, path[1:], edit)
    return replace(holder, layers=(*holder.layers[:at], changed, *holder.layers[at + 1 :]))


def _index_of(holder: Network | Residual, name: str) -> int:
    if name not in holder.ids:
        raise ValueError(f"There is no layer called {name[:80]}; there are {', '.join(holder.ids)}.")
    return holder.ids.index(name)


class _NetworkFields(msgspec.Struct):
    """The saved fields of a network, other than its layers."""

    input_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    vote: Literal["softmax", "score"]
    retired: tuple[str, ...]

    def build(self, layers: tuple[Layer, ...], ids: tuple[str, ...]) -> Network:
        return Network(self.input_shape, layers, self.classes, self.vote, ids, self.retired)


def _layers_to_json(holder: Network | Residual) -> list[dict[str, Any]]:
    return [{"id": name} | _layer_to_json(layer) for name, layer in zip(holder.ids, holder.layers, strict=True)]


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    """A layer as plain values: its kind, and each hyperparameter by name; the layers of a block likewise."""
    if isinstance(layer, Residual):
        settings: dict[str, Any] = {"layers": _layers_to_json(layer)}
    else:
        settings = {setting.name: getattr(layer, setting.name) for setting in fields(layer)}
    return {"layer": type(layer).__name__} | settings


def _layers_from_json(items: Any, title: str, depth: int) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """The layers and their ids, () where none are given. Raises ValueError, one sentence that names the layer and
    the reason."""
    if not isinstance(items, list):
        raise ValueError(f"This does not describe a network: its layers must be a list, not {reprlib.repr(items)}.")
    layers = []
    ids = []
    for index, item in enumerate(items, 1):
        try:
            layers.append(_layer_from_json(item, depth))
        except (ValueError, msgspec.ValidationError) as error:
            raise ValueError(f"{title} {index} cannot be built: {error}") from error
        if "id" in item:
            ids.append(item["id"])
    if ids and not are_ids(tuple(ids), layers):
        raise ValueError(f"The ids of layers must be {VALID_IDS}, not {reprlib.repr(ids)}.")
    return tuple(layers), tuple(ids)


def _layer_from_json(item: Any, depth: int) -> Layer:
    if not isinstance(item, Mapping):
        raise ValueError(f"{reprlib.repr(item)} does not describe one.")
    settings = {name: value for name, value in item.items() if name != "id"}
    kind = settings.pop("layer", None)
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"There is no layer called {reprlib.repr(kind)}; there are {', '.join(LAYERS)}.")
    unknown = set(settings) - {setting.name for setting in fields(LAYERS[kind])}
    if unknown:
        raise ValueError(f"{kind} has no setting called {sorted(unknown)[0]!r}.")
    if LAYERS[kind] is Residual:
        if depth >= MAX_NESTING or not isinstance(settings.get("layers"), list):
            raise ValueError(f"{kind} needs a list of layers, nested at most {MAX_NESTING} deep.")
        return Residual(*_layers_from_json(settings["layers"], "Its layer", depth + 1))
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
