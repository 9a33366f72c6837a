"""Class edits: network, labelled drawings and marks follow together, and the file brings them back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.data import LabelledSample, PoolSettings
from engine.documents import (
    Document,
    ProjectState,
    add_class,
    class_marks,
    delete_class,
    mark_class,
    merge_classes,
    move_class,
    rename_class,
    save_project,
    shipped_model,
)
from engine.documents.project_file import load_project
from engine.drawings import Drawing
from engine.training import TrainingConfig
from tests.engine.data.test_labelled_samples import line
from tests.samples import drawing_sample


def labels(document: Document) -> list[str]:
    return [each.label for each in document.labelled_samples]


@pytest.fixture(scope="module")
def start() -> Document:
    labelled = [LabelledSample(drawing_sample(line(0.3)), label) for label in ("X", "O", "neither", "X")]
    return Document(drawing_sample(Drawing()), (shipped_model("default"),), labelled_samples=tuple(labelled))


def rows(document: Document) -> dict[str, bytes]:
    """The weights of each class in the last layer."""
    model = document.models[0]
    weight = model.parameters[f"{model.network.ids[-1]}.weight"]
    return {name: row.tobytes() for name, row in zip(model.network.classes, weight, strict=True)}


def test_an_added_class_is_the_last_and_fresh_and_the_others_stay(start: Document) -> None:
    after = add_class(start, "  five  pointed star ")
    assert after.models[0].network.classes == ("X", "O", "five pointed star")
    assert after.models[0].fresh_classes == ("five pointed star",)
    assert after.labels == ("X", "O", "five pointed star", "neither")
    assert {name: rows(after)[name] for name in ("X", "O")} == rows(start)
    assert labels(after) == labels(start)
    assert after.kind.name == "own"


def test_a_renamed_class_keeps_its_weights_its_drawings_and_its_mark(start: Document) -> None:
    after = rename_class(start, "X", "cross")
    assert rows(after)["cross"] == rows(start)["X"]
    assert labels(after) == ["cross", "O", "neither", "cross"]
    assert class_marks(after) == {"cross": 0, "O": 1}
    assert rename_class(after, "cross", "X").models[0].network == start.models[0].network


def test_a_moved_class_takes_weights_drawings_and_mark_with_it(start: Document) -> None:
    after = move_class(add_class(start, "star"), "star", 0)
    assert after.models[0].network.classes == ("star", "X", "O")
    assert class_marks(after) == {"star": 2, "X": 0, "O": 1}
    assert rows(after)["O"] == rows(start)["O"]
    assert labels(after) == labels(start)


def test_a_merged_class_gives_its_drawings_and_a_deleted_one_takes_them_along(start: Document) -> None:
    three = add_class(start, "star")
    merged = merge_classes(three, "X", "star")
    assert labels(merged) == ["star", "O", "neither", "star"]
    assert rows(merged)["star"] == rows(three)["star"]
    deleted = delete_class(three, "X")
    assert labels(deleted) == ["O", "neither"]
    assert class_marks(deleted) == {"O": 1, "star": 2}
    assert class_marks(add_class(deleted, "moon")) == {"O": 1, "star": 2, "moon": 0}, "the first that is free"


def test_a_mark_that_another_class_has_is_swapped(start: Document) -> None:
    assert class_marks(mark_class(start, "X", 7)) == {"X": 7, "O": 1}
    assert class_marks(mark_class(start, "X", 1)) == {"X": 1, "O": 0}


def test_what_cannot_be_a_class_is_refused_in_a_sentence(start: Document) -> None:
    for name in ("", "   ", "X", "neither", "unsure", "a" * 61, "tab\x07"):
        with pytest.raises(ValueError, match=r"^[A-Zun].*[.]$"):
            add_class(start, name)
    for refused in (
        lambda: delete_class(start, "X"),
        lambda: rename_class(start, "O", "X"),
        lambda: rename_class(start, "star", "moon"),
        lambda: merge_classes(add_class(start, "star"), "X", "X"),
        lambda: mark_class(start, "X", 20),
        lambda: add_class(Document.blank(shipped_model("walkthrough")), "star"),
    ):
        with pytest.raises(ValueError, match=r"[.]$"):
            refused()
    full = start
    for number in range(18):
        full = add_class(full, f"class {number}")
    with pytest.raises(ValueError, match="2 to 20 classes, not 21"):
        add_class(full, "one more")
    assert sorted(class_marks(full).values()) == list(range(20))


def test_a_project_file_brings_classes_marks_and_what_is_fresh_back(start: Document, tmp_path: Path) -> None:
    document = mark_class(add_class(start, "star"), "star", 9)
    settings = document.kind.settings_for(document.models[0].network)
    state = ProjectState(document, TrainingConfig(), PoolSettings(settings, 1000, 1), saved_at=1.0)
    save_project(tmp_path / "a.session", state)
    again = load_project(tmp_path / "a.session")
    assert class_marks(again.document) == {"X": 0, "O": 1, "star": 9}
    assert again.document.models[0].fresh_classes == ("star",)
    assert again.document.models[0].network == document.models[0].network
    assert (again.data, labels(again.document)) == (state.data, labels(document))
    np.testing.assert_equal(rows(again.document), rows(document))
