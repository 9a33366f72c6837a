"""FormField: how a field of a dataclass is labelled, limited and stepped in a form; settings from JSON values."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Final, TypeVar

import msgspec

_KEY: Final = "setting"
Part = TypeVar("Part")


@dataclass(frozen=True)
class FormField:
    """What a form needs to know of a dataclass field beside its type and default.

    name: the label
    description: one plain sentence
    step: how far an arrow key moves the value; 0: to the next of 1, 2, 5, 10, 20, ...
    start_value: the initial value where the field may also be None
    unit: shown after the number; "%": the value is a fraction, shown as a percentage
    group: fields of one group are shown together
    least, most: the limits, None for those of the dataclass
    """

    name: str
    description: str
    step: float = 0.0
    start_value: float | None = None
    unit: str = ""
    group: str = ""
    least: float | None = None
    most: float | None = None


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


def check_fields(settings: Any) -> None:
    """Checks the fields of a dataclass that have limits: numbers, or ranges (low, high).

    Raises ValueError for a value outside its limits or of the wrong type, and for a range whose low is above its
    high.
    """
    for field in fields(settings):
        described = form_field_of(field)
        if described is not None and described.least is not None and described.most is not None:
            _check_limits(field, described.least, described.most, described.unit, getattr(settings, field.name))


def _check_limits(field: Field[Any], least: float, most: float, unit: str, value: Any) -> None:
    name, is_range = field.name, isinstance(field.default, tuple)
    if is_range and not (isinstance(value, tuple) and len(value) == 2):
        raise ValueError(f"The setting {name} must be a range (low, high), not {value!r}.")
    values = value if is_range else (value,)
    if not all(isinstance(number, int | float) and least <= number <= most for number in values):
        raise ValueError(f"The setting {name} must be from {least} to {most} {unit}, not {value!r}.")
    if isinstance(field.default, int) and not isinstance(value, int):
        raise ValueError(f"The setting {name} must be a whole number of {unit}, not {value!r}.")
    if values[0] > values[-1]:
        raise ValueError(f"The range of the setting {name} must not start above its end, as {value!r} does.")


def settings_from(name: str, kind: type[Part], values: object, *, strict: bool = True) -> Part:
    """A dataclass of settings from JSON values; strict: text is not converted to numbers.

    Raises ValueError with one sentence on the unknown or invalid setting; it calls them "`name` settings".
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"The {name} settings must have names, unlike {reprlib.repr(values)}.")
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(
            f"There is no {name} setting called {reprlib.repr(unknown[0])}; there are {', '.join(known)}."
        )
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ValueError(f"The {name} settings are invalid: {conversion_reason(error, values)}.") from error


_KINDS: Final = {
    "float": "a number",
    "int": "a whole number",
    "bool": "yes or no",
    "str": "text",
    "array": "a list",
    "object": "settings by name",
    "null": "nothing",
}
_WRONG_KIND: Final = re.compile(r"Expected `(?P<kinds>[\w |]+)`, got `(?P<given>\w+)`")
_WRONG_LENGTH: Final = re.compile(r"Expected `array` of length (?P<length>\d+), got (?P<given>\d+)")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>\w+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_NO_CHOICE: Final = re.compile(r"Invalid enum value (?P<given>.*)", re.DOTALL)
_LIMIT: Final = re.compile(r"Expected `\w+`(?P<of> of length)? (?P<sign>[<>]=?) (?P<limit>\S+)")
_SIGNS: Final = {">=": "at least", ">": "above", "<=": "at most", "<": "below"}
_PLACE: Final = re.compile(r" - at `\$(?P<path>.*)`$")


def conversion_reason(error: Exception, given: object = None) -> str:
    """msgspec's message on a value that does not fit its field, in words: "size must be a number, not 'a'".

    given: what was converted, to quote the value.
    """
    message = str(error).rstrip(".")
    place = _PLACE.search(message)
    path = "" if place is None else place["path"].removeprefix(".")
    message = _PLACE.sub("", message)
    if wrong := _WRONG_KIND.fullmatch(message):
        kinds = " or ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in wrong["kinds"].split("|"))
        value = _value_at(given, path)
        shown = _KINDS.get(wrong["given"], wrong["given"]) if value is None else reprlib.repr(value)
        return f"{path or 'it'} must be {kinds}, not {shown}"
    if wrong := _WRONG_LENGTH.fullmatch(message):
        return f"{path or 'it'} must have {wrong['length']} values, not {wrong['given']}"
    if missing := _MISSING.fullmatch(message):
        return f"{path}.{missing['name']} is missing" if path else f"{missing['name']} is missing"
    if unknown := _UNKNOWN.fullmatch(message):
        return f"{path or 'it'} has no {reprlib.repr(unknown['name'])}"
    if choice := _NO_CHOICE.fullmatch(message):
        return f"{path or 'it'} cannot be {choice['given']}"
    if limit := _LIMIT.fullmatch(message):
        length = "have a length of " if limit["of"] else "be "
        return f"{path or 'it'} must {length}{_SIGNS[limit['sign']]} {limit['limit']}"
    return f"{path}: {message.replace('`', '')}" if path else message


def _value_at(given: object, path: str) -> object:
    """The value at a path such as `size[0]`, None if there is none."""
    for index, name in re.findall(r"\[(\d+)\]|(\w+)", path):
        if name and isinstance(given, Mapping):
            given = given.get(name)
        elif index and isinstance(given, (list, tuple)) and int(index) < len(given):
            given = given[int(index)]
        else:
            return None
    return given
