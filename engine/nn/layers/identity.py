"""Identities of layers: names that stay the same when layers are inserted, removed or moved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from engine.nn.layers.layer import Layer

_VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,60}")
# Keys beside the layers' in a prediction.
_RESERVED = ("input", "votes")


def default_ids(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Kind and number of each layer: conv2d-1, relu-1, conv2d-2, ..."""
    counts: Counter[str] = Counter()
    ids = []
    for layer in layers:
        counts[layer.kind] += 1
        ids.append(f"{layer.kind}-{counts[layer.kind]}")
    return tuple(ids)


def new_id(layer: Layer, used: Iterable[str]) -> str:
    """The id of a layer to be added where `used` were given before: the next number of its kind."""
    numbers = (name.removeprefix(f"{layer.kind}-") for name in used if name.startswith(f"{layer.kind}-"))
    return f"{layer.kind}-{max((int(number) for number in numbers if number.isdecimal()), default=0) + 1}"


VALID_IDS: Final = (
    f"a different id for each layer, 1 to 60 letters, digits, - or _, but not {' or '.join(_RESERVED)}"
)


def are_ids(ids: object, layers: Sequence[Layer]) -> bool:
    """Whether `ids` are VALID_IDS of these layers."""
    if not isinstance(ids, tuple) or len(ids) != len(layers):
        return False
    named = {name for name in ids if isinstance(name, str) and _VALID_ID.fullmatch(name) and name not in _RESERVED}
    return len(named) == len(ids)
