"""Overrides: a fault in a method by which Qt calls the window is reported, and Qt gets its own class's answer.

Otherwise PySide raises the fault out of the call into Qt that is in progress, in code that has nothing to do with
it, or loses it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from traceback import clear_frames
from types import FunctionType
from typing import Any, get_type_hints

from PySide6.QtCore import QThread
from shiboken6 import Shiboken

_GUARDED = "__guarded_override__"


def guard_overrides(package: str) -> None:
    """Guard what the classes of this package override of Qt's classes; to be called once all are imported.

    The body of a thread is left as it is: it has no caller that could go on.
    """
    for kind in subclasses(Shiboken.Object):
        if issubclass(kind, QThread):
            continue
        for owner in kind.__mro__:
            if owner.__module__.partition(".")[0] == package:
                for name in list(vars(owner)):
                    if is_unguarded_override(kind, owner, name):
                        setattr(owner, name, _guarded(owner, name, vars(owner)[name]))


def is_unguarded_override(kind: type, owner: type, name: str) -> bool:
    """Whether this method of `owner`, a base of `kind` or `kind` itself, overrides one of Qt's and has no guard."""
    method = vars(owner)[name]
    if name.startswith("__") or not isinstance(method, FunctionType) or hasattr(method, _GUARDED):
        return False
    return any(base.__module__.startswith("PySide6") and name in vars(base) for base in kind.__mro__)


def subclasses(kind: type) -> Iterator[type]:
    """All classes derived from this one."""
    below: list[type] = type.__subclasses__(kind)
    for one in below:
        yield one
        yield from subclasses(one)


def _guarded(owner: type, name: str, method: Callable[..., object]) -> Callable[..., object]:
    @wraps(method)
    def override(self: object, *arguments: Any, **named: Any) -> object:
        try:
            return method(self, *arguments, **named)
        except Exception as error:  # noqa: BLE001 - the hook logs it
            sys.excepthook(type(error), error, error.__traceback__)
            # The frames hold painters, and a widget that still has one cannot be painted again.
            clear_frames(error.__traceback__)
        inherited = getattr(super(owner, self), name)
        try:
            return inherited(*arguments, **named)
        except NotImplementedError:  # a pure virtual method
            answer = get_type_hints(method).get("return")
            return answer() if isinstance(answer, type) else None

    setattr(override, _GUARDED, True)
    return override
