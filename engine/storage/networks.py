"""Networks in files: the architecture that a file describes, of a size that can be run. Not its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping

from engine.network import Network
from engine.storage.atomic import MEBIBYTE, Damage
from engine.storage.tensors import Json, Tensor, clause

# What one picture may take in all layers together; without a limit, a few bytes could ask for all the memory.
PASS_LIMIT = 256 * MEBIBYTE

_LONGEST_NAME = 200


def name_in(description: Json) -> str:
    """What the network in a file is called. Raises Damage."""
    name = description.get("name")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise Damage(f"has no name of 1 to {_LONGEST_NAME} printable characters")
    return name


def network_in(description: Json) -> Network:
    """The network in a file. Raises Damage if it cannot be, or is too large to be run."""
    try:
        network = Network.from_json(_as_mapping(description.get("network")))
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise Damage(f"describes a network that cannot be: {clause(error)}") from error
    if network.picture_bytes > PASS_LIMIT:
        raise Damage(f"describes a network that takes more than {PASS_LIMIT // MEBIBYTE} MiB for one picture")
    return network


def needed_values(network: Network) -> int:
    """How many weights, and other values that layers keep, the network has."""
    return sum(math.prod(shape) for shape in network.parameter_shapes.values())


def learnt_values(network: Network) -> int:
    """How many weights the network learns."""
    return sum(cost.parameters for cost in network.costs)


def check_count(needed: int, tensors: Mapping[str, Tensor], what: str) -> None:
    """Raises Damage unless the tensors hold as many values as are needed; to be asked before their names and shapes
    are, which would take as much memory as the description asks for."""
    held = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if needed != held:
        raise Damage(f"holds {held:,} {what} where its network needs {needed:,}")


def _as_mapping(value: object) -> Json:
    if not isinstance(value, dict):
        raise Damage("there is none")
    return value
