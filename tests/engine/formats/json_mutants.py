"""JSON mutants: valid JSON whose values have the wrong type, size or depth, or are missing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 0.5, -0.5, 1e308, 2**53, 2**63, 10**39, "", "1", "X", "softmax", "\ud800", [],
    {}, [None], [[]], {"a": None}, [0, 1, 2], [[0, 1], [1, 0]], {"kind": None}, {"kind": "sgd", "rate": {}},
    [{"layer": "Dense"}], [[[[[[[[]]]]]]]],
)  # fmt: skip


def json_mutants(value: Any, count: int, seed: int) -> Iterator[Any]:
    """`count` copies, in each of which one to three members are replaced, removed or added."""
    rng, text = random.Random(seed), json.dumps(value)
    for _ in range(count):
        mutant = json.loads(text)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            _mutate(mutant, rng)
        yield mutant


def _mutate(value: Any, rng: random.Random) -> None:
    holder, key = rng.choice(list(_places(value)))
    kind = rng.randrange(8)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder["unknown"] = holder[key]
    elif kind == 1:
        holder.append(holder[key])
    elif kind == 2:
        other_holder, other_key = rng.choice(list(_places(value)))
        holder[key] = json.loads(json.dumps(other_holder[other_key]))
    else:
        holder[key] = deepcopy(rng.choice(VALUES))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All members: what holds them, and their key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in list(items):
        yield value, key
        yield from _places(member)


def header_mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Safetensors files with mutants of the description in half of them, of the whole header in the other half."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    text = header["__metadata__"]["xo-gui"]
    for description in json_mutants(json.loads(text), count // 2, seed):
        yield _with_header(header | {"__metadata__": {"xo-gui": json.dumps(description)}}, data[start:])
    for mutant in json_mutants(header, count - count // 2, seed + 1):
        yield _with_header(mutant, data[start:])


def _with_header(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data
