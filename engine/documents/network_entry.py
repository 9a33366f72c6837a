"""The network in a file; and the names of layers in files of version 1, which were made of their positions."""

from __future__ import annotations

from typing import Any, TypeAlias

from engine.formats import MEBIBYTE, InvalidFile, Json, TensorFile, one_line
from engine.nn import Network
from engine.nn.layers import Layer

# Activations of one picture in all layers; without a limit, a small file could demand all the memory.
ACTIVATION_LIMIT = 256 * MEBIBYTE


def parse_network(entry: Json) -> Network:
    """The network of a model or run in a file. Raises InvalidFile if it is invalid or too large to be run."""
    try:
        network = Network.from_json(_as_mapping(entry.get("network")))
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise InvalidFile(f"describes an invalid network: {one_line(error)}") from error
    if network.image_bytes > ACTIVATION_LIMIT:
        raise InvalidFile(
            f"describes a network that takes more than {ACTIVATION_LIMIT // MEBIBYTE} MiB for one picture"
        )
    return network


def _as_mapping(value: object) -> Json:
    if not isinstance(value, dict):
        raise InvalidFile("it is missing")
    return value


# --- files of version 1: 04-residual.1-conv2d.weight is today's residual-1.conv2d-1.weight

# The id of a layer by its old name, and the same for the layers inside it.
_Names: TypeAlias = "dict[str, tuple[str, _Names]]"


def with_layer_ids(file: TensorFile) -> TensorFile:
    """A file of version 1 with the names that its tensors and layers have today; any other as it is. Raises
    InvalidFile if a network in it is invalid."""
    if file.description["version"] > 1:
        return file
    old = file.description
    models = [entry for entry in _listed(old, "subjects") if isinstance(entry, dict)]
    names = _names_of(old)
    of_models = [_names_of(entry) for entry in models]
    first = of_models[0] if of_models else names

    def renamed(name: str) -> str:
        group, _, rest = name.partition(".")
        index, _, rest = rest.partition(".") if group == "subject" else ("", "", rest)
        if index.isdecimal() and int(index) < len(of_models):
            return f"subject.{index}.{_renamed(rest, of_models[int(index)])}"
        return _renamed(name, names)

    description: dict[str, Any] = dict(old)
    if "recipe" in old:
        description["recipe"] = _with_renamed_layers(old["recipe"], first)
    if "branches" in old:
        # The run had one network.
        description["networks"] = [old["network"]] if old.get("network") else []
        description["branches"] = [_renamed_branch(entry, names) for entry in _listed(old, "branches")]
    return file.renamed(description, renamed)


def _listed(description: Json, key: str) -> list[Any]:
    entries = description.get(key)
    return entries if isinstance(entries, list) else []


def _names_of(entry: Json) -> _Names:
    if entry.get("network") is None:
        return {}
    network = parse_network(entry)
    return _paired(network.numbered_names[1:], network.ids, network.layers)


def _paired(old: tuple[str, ...], ids: tuple[str, ...], layers: tuple[Layer, ...]) -> _Names:
    names: _Names = {}
    for name, own, layer in zip(old, ids, layers, strict=True):
        inner_ids = tuple(inner_id for inner_id, _ in layer.inner_layers)
        inside = tuple(inner for _, inner in layer.inner_layers)
        numbered = tuple(f"{index}-{inner.kind}" for index, inner in enumerate(inside, 1))
        names[name] = own, _paired(numbered, inner_ids, inside)
    return names


def _renamed(name: str, names: _Names) -> str:
    """A tensor's name; what comes before the layer's, as in velocity.01-conv2d.weight, stays."""
    parts = []
    for part in name.split("."):
        own, names = names.get(part, (part, names))
        parts.append(own)
    return ".".join(parts)


def _with_renamed_layers(config: Any, names: _Names) -> Any:
    if not isinstance(config, dict) or not isinstance(config.get("frozen"), list):
        return config
    return config | {
        "frozen": [_renamed(name, names) if isinstance(name, str) else name for name in config["frozen"]]
    }


def _renamed_branch(entry: Any, names: _Names) -> Any:
    if not isinstance(entry, dict):
        return entry
    sets = [
        each | {"memory": [_renamed(name, names) if isinstance(name, str) else name for name in each["memory"]]}
        if isinstance(each, dict) and isinstance(each.get("memory"), list)
        else each
        for each in _listed(entry, "sets")
    ]
    configs = [
        [pair[0], _with_renamed_layers(pair[1], names)] if isinstance(pair, list) and len(pair) == 2 else pair
        for pair in _listed(entry, "recipes")
    ]
    return entry | {"sets": sets, "recipes": configs, "network": 0}
