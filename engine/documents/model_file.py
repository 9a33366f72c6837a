"""Model files: a model as a safetensors file, with its architecture in the header.

Files are not trusted: every size that a file claims is checked against its actual bytes, and against the needs of
the architecture, before anything is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.documents.network_entry import parse_network, with_layer_ids
from engine.documents.presets import WALKTHROUGH, handmade_parameters, preset
from engine.formats import (
    MEBIBYTE,
    FileError,
    FilePath,
    InvalidFile,
    Json,
    TensorInfo,
    other_program,
    pack,
    quoted,
    read_bytes,
    reason_text,
    unpack,
    write_atomically,
)
from engine.installation import asset_path
from engine.nn import Model, Network

FORMAT_VERSION = 2
FILE_LIMIT = 64 * MEBIBYTE

_MAX_NAME_LENGTH = 200


def save_model(path: FilePath, model: Model) -> None:
    """Writes a model, with float32 parameters; the same model gives the same bytes.

    Raises FileError if the file cannot be written, or could not be read again: over 64 MiB, an origin that is
    not plain JSON (an object of strings, finite numbers, lists and objects), a name of over 200 characters.
    """
    description = {
        "version": FORMAT_VERSION,
        "name": model.name,
        "network": model.network.to_json(),
        "threshold": model.threshold,
        "origin": dict(model.origin),
    }
    try:
        data = pack(description, model.parameters, FILE_LIMIT)
        _parse_model(data)  # ensures that the file can be opened again
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{quoted(path)} was not saved: the model {reason_text(error)}.") from error
    write_atomically(path, data)


def load_model(path: FilePath) -> Model:
    """Reads a model file; parameters are float32 (F16 and F64 are converted) and read-only.

    Raises FileError, one sentence that names the file and says what is wrong with it.
    """
    data = read_bytes(path, FILE_LIMIT)
    try:
        return _parse_model(data)
    except ValueError as error:
        if program := other_program(path, data):
            raise FileError(
                f"{quoted(path)} is a network of another program, {program}; this one opens only networks that it "
                "has saved itself (.safetensors)."
            ) from error
        raise FileError(f"{quoted(path)} cannot be opened as a model: it {reason_text(error)}.") from error


def shipped_model(name: str) -> Model:
    """The model of the preset called `name`: hand-made for the walk-through, else trained.

    Raises ValueError if there is no such preset, FileNotFoundError if its trained model is missing, FileError if
    it is damaged.
    """
    chosen = preset(name)
    if chosen is WALKTHROUGH:
        return Model(chosen.title, chosen.network, handmade_parameters())
    return load_model(asset_path(f"{name}.safetensors"))


# --- parsing


def parse_name(description: Json) -> str:
    """The name of the model in a file. Raises InvalidFile."""
    name = description.get("name")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= _MAX_NAME_LENGTH:
        raise InvalidFile(f"has no name of 1 to {_MAX_NAME_LENGTH} printable characters")
    return name


def stored_value_count(network: Network) -> int:
    """The number of values that the network stores: weights, biases, running statistics."""
    return sum(math.prod(shape) for shape in network.parameter_shapes.values())


def trainable_value_count(network: Network) -> int:
    """The number of trainable parameters."""
    return sum(cost.parameters for cost in network.costs)


def check_value_count(expected: int, tensors: Mapping[str, TensorInfo], what: str) -> None:
    """Raises InvalidFile unless the tensors hold `expected` values.

    To be called before names and shapes are checked, which takes as much memory as the description demands.
    """
    count = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if expected != count:
        raise InvalidFile(f"holds {count:,} {what} where its network needs {expected:,}")


def _parse_model(data: bytes) -> Model:
    """Parses the bytes of a model file. Raises ValueError with a message as of InvalidFile."""
    file = with_layer_ids(unpack(data, "model", FORMAT_VERSION))
    description = file.description
    network = parse_network(description)
    check_value_count(stored_value_count(network), file.tensors, "weights")
    return Model(
        parse_name(description), network, file.float32_arrays(), _threshold(description), _origin(description)
    )


def _threshold(description: Json) -> float | None:
    threshold = description.get("threshold")
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise InvalidFile("has a threshold that is not a number from 0 to 1")
    return float(threshold)


def _origin(description: Json) -> dict[str, Any]:
    origin = description.get("origin", {})
    if not isinstance(origin, dict):
        raise InvalidFile("has an origin that is not a JSON object")
    return origin
