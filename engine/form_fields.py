"""FormField: how a field of a dataclass is labelled and stepped in a form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Final

_KEY: Final = "setting"


@dataclass(frozen=True)
class FormField:
    """What a form needs to know of a dataclass field beside its type and default.

    name: the label
    description: one plain sentence
    step: how far an arrow key moves the value; 0: to the next of 1, 2, 5, 10, 20, ...
    start_value: the initial value where the field may also be None
    unit: shown after the number; "%": the value is a fraction, shown as a percentage
    group: fields of one group are shown together
    """

    name: str
    description: str
    step: float = 0.0
    start_value: float | None = None
    unit: str = ""
    group: str = ""


def form_field(field: FormField) -> Mapping[str, FormField]:
    """The metadata of a dataclass field that is shown in a form."""
    return {_KEY: field}


def form_fields_of(kind: Any, group: str = "") -> dict[str, FormField]:
    """The form fields of one group, by name, in order, of a dataclass or an instance."""
    settings = {field.name: form_field_of(field) for field in fields(kind)}
    return {name: setting for name, setting in settings.items() if setting is not None and setting.group == group}


def form_field_of(field: Field[Any]) -> FormField | None:
    """The form field of a dataclass field, None if it is not shown."""
    setting: FormField | None = field.metadata.get(_KEY)
    return setting
