"""Setting: what a field of a dataclass means to a person, and how finely it is moved. Neither its value nor its
limits, which the dataclass knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Final

_KEY: Final = "setting"


@dataclass(frozen=True)
class Setting:
    """What whoever makes a form of a dataclass needs to know of one field beside its type and default.

    name: in a word or two. text: one plain sentence. step: how far one press of an arrow key moves it; 0: to the
    next of the numbers 1, 2, 5, 10, 20 ... usual: what to begin with where the field may also be None. unit: after
    the number; "%": a share, shown as so many of a hundred. group: fields of one group stand together.
    """

    name: str
    text: str
    step: float = 0.0
    usual: float | None = None
    unit: str = ""
    group: str = ""


def explained(setting: Setting) -> Mapping[str, Setting]:
    """The metadata of a field that has a meaning for people."""
    return {_KEY: setting}


def settings_of(kind: Any, group: str = "") -> dict[str, Setting]:
    """The explained fields of a group, by name, in their order, of a dataclass or of one of its instances."""
    found = {each.name: setting_of(each) for each in fields(kind)}
    return {name: setting for name, setting in found.items() if setting is not None and setting.group == group}


def setting_of(each: Field[Any]) -> Setting | None:
    """What a field means to a person, None if it is not explained."""
    setting: Setting | None = each.metadata.get(_KEY)
    return setting
