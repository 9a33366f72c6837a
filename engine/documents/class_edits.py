"""Class edits: the Document with its classes added to, renamed, merged, deleted or reordered.

The network follows, and so do the drawings that the user labelled. Of each class that is kept, the weights, the
drawings and the mark (colour and shape) are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.data import DATA_KINDS, MAX_OWN_CLASSES, NO_CLASS, OwnDrawings
from engine.documents.document import Document
from engine.nn import UNSURE, with_classes
from engine.nn.layers import shape_text

MAX_CLASS_NAME: Final = 60
MIN_CLASSES: Final = 2
_SEED: Final = 1  # of the initial weights of new classes


@dataclass(frozen=True)
class _Kept:
    """A class after the edit. sources: the present ones that it takes over, the weights and mark of the first."""

    name: str
    sources: tuple[str, ...] = ()


def add_class(document: Document, name: str) -> Document:
    """With another class, the last, whose weights are fresh. Raises ValueError, one sentence."""
    return _edited(document, [*_all_kept(document), _Kept(_checked(name, _classes(document)))])


def rename_class(document: Document, name: str, to: str) -> Document:
    """With another name of a class. Raises ValueError, one sentence."""
    _check_known(document, name)
    to = _checked(to, [other for other in _classes(document) if other != name])
    return _edited(document, [_Kept(to if each == name else each, (each,)) for each in _classes(document)])


def merge_classes(document: Document, name: str, into: str) -> Document:
    """With the drawings of class `name` as drawings of class `into`, whose weights stay. Raises ValueError."""
    _check_known(document, name, into)
    if name == into:
        raise ValueError(f"{name} cannot be merged with itself; choose another class.")
    kept = [each for each in _classes(document) if each != name]
    return _edited(document, [_Kept(each, (each, name) if each == into else (each,)) for each in kept])


def delete_class(document: Document, name: str) -> Document:
    """Without a class and the drawings labelled as it. Raises ValueError, one sentence."""
    _check_known(document, name)
    return _edited(document, [each for each in _all_kept(document) if each.name != name])


def move_class(document: Document, name: str, place: int) -> Document:
    """With a class at another place, counted from 0 and clipped. Raises ValueError, one sentence."""
    _check_known(document, name)
    others = [each for each in _all_kept(document) if each.name != name]
    others.insert(max(place, 0), _Kept(name, (name,)))
    return _edited(document, others)


def mark_class(document: Document, name: str, mark: int) -> Document:
    """With another colour and shape of a class, 0 to MAX_OWN_CLASSES - 1; a class that has these takes the others.

    Raises ValueError, one sentence.
    """
    _check_known(document, name)
    if not 0 <= mark < MAX_OWN_CLASSES:
        raise ValueError(f"There are {MAX_OWN_CLASSES} colours and shapes, from 0 up, and no {mark}.")
    marks = class_marks(document)
    swapped = {each: marks[name] if number == mark else number for each, number in marks.items()}
    return replace(document, class_marks=swapped | {name: mark})


def class_marks(document: Document) -> dict[str, int]:
    """The number of the colour and shape of each class of the first model."""
    classes, given = _classes(document), document.class_marks
    marks = {name: given[name] for name in classes if name in given}
    for place, name in enumerate(classes):
        if name not in marks:
            free = (mark for mark in (place, *range(MAX_OWN_CLASSES)) if mark not in marks.values())
            marks[name] = next(free, place % MAX_OWN_CLASSES)
    return marks


def _classes(document: Document) -> tuple[str, ...]:
    return document.models[0].network.classes


def _all_kept(document: Document) -> list[_Kept]:
    return [_Kept(name, (name,)) for name in _classes(document)]


def _edited(document: Document, wanted: Sequence[_Kept]) -> Document:
    if not MIN_CLASSES <= len(wanted) <= MAX_OWN_CLASSES:
        raise ValueError(f"A network here has {MIN_CLASSES} to {MAX_OWN_CLASSES} classes, not {len(wanted)}.")
    model, before = document.models[0], _classes(document)
    own = DATA_KINDS[OwnDrawings.name]
    if not own.fits(model.network):
        raise ValueError(
            f"{model.name} reads {shape_text(model.network.input_shape)}, but classes of your own are collected as "
            "drawings, one square map; choose a network with a 1 × n × n input."
        )
    kept = [before.index(each.sources[0]) if each.sources else None for each in wanted]
    edited = with_classes(model, tuple(each.name for each in wanted), kept, _SEED)
    names = {source: each.name for each in wanted for source in each.sources} | {NO_CLASS: NO_CLASS}
    # A drawing may have a label of another network, which is kept.
    labelled = tuple(
        each if names.get(each.label, each.label) == each.label else replace(each, label=names[each.label])
        for each in document.labelled_samples
        if each.label in names or each.label not in before
    )
    changed = document.with_models((edited, *document.models[1:]))
    return replace(changed, labelled_samples=labelled, class_marks=_marks_of(document, wanted))


def _marks_of(document: Document, wanted: Sequence[_Kept]) -> dict[str, int]:
    """The marks: kept classes keep theirs, a new one gets the first that is free."""
    before = class_marks(document)
    marks = {each.name: before[each.sources[0]] for each in wanted if each.sources}
    for each in wanted:
        if not each.sources:
            marks[each.name] = next(mark for mark in range(MAX_OWN_CLASSES) if mark not in marks.values())
    return marks


def _check_known(document: Document, *names: str) -> None:
    for name in names:
        if name not in _classes(document):
            raise ValueError(f"There is no class called {name[:80]}; there are {', '.join(_classes(document))}.")


def _checked(name: str, taken: Sequence[str]) -> str:
    """The name without spaces around it. Raises ValueError unless it can be that of a class."""
    name = " ".join(name.split())
    if not name:
        raise ValueError("A class needs a name; type one.")
    if not name.isprintable() or len(name) > MAX_CLASS_NAME:
        raise ValueError(f"The name of a class has 1 to {MAX_CLASS_NAME} printable characters; shorten it.")
    if name in (NO_CLASS, UNSURE):
        raise ValueError(f"{name} is what is of no class; choose another name.")
    if name in taken:
        raise ValueError(f"There is a class called {name} already; choose another name.")
    return name
