"""Glue: the text that calls functions of single values one after the other inside a kernel. Not the functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from engine.kernels.parameters import C_NAMES, Elementwise, Parameter
from engine.kernels.view import View

_Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], "np.dtype[Any]"]


@dataclass
class Glue:
    """The text that calls functions one after the other for number `number`, and what it is given.

    What more than one of them touches is Kept between them. own: what the kernel itself has just made, `made`.
    wanted: what is put into `kept` in the end.
    """

    functions: Sequence[Elementwise]
    prefix: str
    number: str = "i"
    own: View | None = None
    wanted: View | None = None

    def parameters(self) -> list[str]:
        """As the kernel declares them."""
        return [
            f"{given.kind} {self._name(place, part)}"
            for place, each in enumerate(self.functions)
            for part, given in enumerate(each.parameters)
        ]

    def body(self) -> str:
        """The calls."""
        names = {key: f"{self.prefix}k{number}" for number, key in enumerate(self._shared())}
        lines = [self._declared(key, name) for key, name in names.items()]
        for place, each in enumerate(self.functions):
            given = [self._given(place, part, one, names) for part, one in enumerate(each.parameters)]
            lines.append(f"{each.function}({', '.join((self.number, *given))});")
        if self.wanted is not None:
            key = _key(self.wanted)
            lines.append(f"kept = {names[key] + '.value' if key in names else 'made'};")
        return f"{{ {' '.join(lines)} }}" if lines else ""

    def _name(self, place: int, part: int) -> str:
        return f"{self.prefix}{place}_{part}"

    def _given(self, place: int, part: int, given: Parameter, names: dict[_Key, str]) -> str:
        access = given.access
        if access is not None and access.windows is not None and self.number == "w":
            return f"FourCells<{C_NAMES[access.view.dtype]}>{{cells}}"
        if access is not None and access.aligned and _key(access.view) in names:
            return names[_key(access.view)]
        return self._name(place, part)

    def _shared(self) -> list[_Key]:
        ends = {_key(view) for view in (self.own, self.wanted) if view is not None}
        counts: dict[_Key, int] = {}
        for each in self.functions:
            for key in {_key(access.view) for access in each.accesses if access.aligned}:
                counts[key] = counts.get(key, 0) + 1
        return [key for key, count in counts.items() if count > 1 or key in ends]

    def _declared(self, key: _Key, name: str) -> str:
        touching = [
            (given.access.write, self._name(place, part))
            for place, each in enumerate(self.functions)
            for part, given in enumerate(each.parameters)
            if given.access is not None and given.access.aligned and _key(given.access.view) == key
        ]
        kind = C_NAMES[key[3]]
        made = "made, true" if self.own is not None and key == _key(self.own) else f"{kind}(), false"
        return f"Kept<{kind}> {name} = {{({kind}*){max(touching)[1]}, {made}}};"


def _key(view: View) -> _Key:
    """The same for views of the same places."""
    return view.start, view.extents, view.strides, view.dtype
