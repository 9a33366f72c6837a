"""`xo classify`: predicts the class of pictures, one line for each; and the options that choose a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.json_text import json_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.backends import Backend
    from engine.nn import Model

    Array = NDArray[np.float32]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", metavar="NAME", help="a network of this program (default: default)")
    which.add_argument("--model", metavar="FILE", type=Path, help="a model file")
    parser.add_argument(
        "--device", default="auto", choices=["auto", "cpu", "gpu"], help="where to compute (default: auto)"
    )


def chosen_model(args: argparse.Namespace) -> Model:
    """The model of --preset or --model. Raises ValueError or FileNotFoundError with one sentence."""
    from engine.documents import load_model, preset, shipped_model

    if args.model is not None:
        return load_model(args.model)
    name = "default" if args.preset is None else args.preset
    if preset(name).untrained_reason:
        raise ValueError(
            f"{preset(name).untrained_reason.removesuffix('.')}, then give the file it writes as --model."
        )
    return shipped_model(name)


BATCH = 64
BATCH_BYTES = 256 << 20  # of a batch at most, so that a network with large layers gets fewer pictures at once
NEITHER = "neither"


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "classify",
        help="classify pictures as X or O",
        description="Classify pictures as X or O. A folder stands for the images in it, at any depth.",
    )
    parser.add_argument("files", metavar="FILES", nargs="+", type=Path, help="images, npz files, folders")
    add_model_arguments(parser)
    parser.add_argument("--fit", action="store_true", help="centre the ink and scale it to the frame first")
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")


def run(args: argparse.Namespace) -> int:
    """Classify all pictures and print a line for each; returns 1 if any file could not be read. Raises ValueError
    and OSError."""
    from engine.backends import choose_backend

    classifier = Classifier(chosen_model(args), choose_backend(args.device))
    source = PictureSource(args.files, classifier.side, classifier.model.network.classes, args.fit)
    tally = Tally(classifier.model.network.classes)
    for result in classifier.classify(source.entries()):
        print(_json(result) if args.json else _line(result, source.width, classifier.shows_percent))
        tally.count(result)
    if tally.labelled_count:
        # In JSON mode, stdout contains nothing but the objects.
        print(tally.sentence(), file=sys.stderr if args.json else sys.stdout)
    return 1 if source.failed else 0


@dataclass(frozen=True, eq=False)
class PictureEntry:
    """A picture to classify.

    picture: (side, side), -1 to 1.
    index: in an npz file.
    label: a class name or "neither", if the file has labels.
    """

    file: str
    picture: Array
    index: int | None = None
    label: str | None = None


@dataclass(frozen=True, eq=False)
class Classification:
    """The prediction for one picture.

    votes: by class name, in the network's order.
    predicted_class: a class name or "unsure".
    """

    entry: PictureEntry
    votes: dict[str, float]
    predicted_class: str

    @property
    def is_correct(self) -> bool | None:
        """Whether the predicted class is the label, for "neither" whether it is "unsure"; None without a label."""
        if self.entry.label is None:
            return None
        return self.predicted_class == ("unsure" if self.entry.label == NEITHER else self.entry.label)


class PictureSource:
    """Reads the pictures of files and folders one after another, and prints which files it cannot read."""

    def __init__(self, paths: list[Path], side: int, classes: tuple[str, ...], fit: bool) -> None:
        self._side, self._classes, self._fit = side, classes, fit
        self.failed = False
        self._paths = [found for path in paths for found in self._expanded(path)]
        # Longest name of a picture; those of an npz file include an index.
        self.width = max((len(str(path)) + 6 * _is_npz(path) for path in self._paths), default=0)

    def entries(self) -> Iterator[PictureEntry]:
        """Every readable picture, in order; prints a sentence to stderr for each file that is not."""
        for path in self._paths:
            try:
                yield from self._of_npz(path) if _is_npz(path) else self._of_image(path)
            except ValueError as error:
                self._fail(str(error))

    def _expanded(self, path: Path) -> list[Path]:
        """The path itself, or the image files below a folder as `xo train` finds them, sorted."""
        from engine.data import scan_folder
        from engine.formats import FileError, quoted

        if not path.is_dir():
            return [path]
        try:
            found = sorted(path.joinpath(*picture.parts) for picture in scan_folder(path).pictures)
        except FileError as error:
            self._fail(str(error))
            return []
        if not found:
            self._fail(f"{quoted(path)} contains no images; name another folder.")
        return found

    def _of_image(self, path: Path) -> Iterator[PictureEntry]:
        from engine.formats import read_picture

        yield PictureEntry(str(path), self._input(read_picture(path, print_note)))

    def _of_npz(self, path: Path) -> Iterator[PictureEntry]:
        from engine.formats import read_npz

        found = read_npz(path)
        classes = self._classes if found.classes is None else found.classes
        known = f"but this network knows {', '.join(self._classes)}"
        if unknown := sorted(set(classes) - set(self._classes)):
            raise ValueError(f"{path} has the class {unknown[0]}, {known}.")
        if found.labels is not None and found.labels.max() >= len(classes):
            raise ValueError(f"{path} has the label {found.labels.max()}, {known}.")
        names = (*classes, NEITHER)  # label -1 indexes the last
        for index, picture in enumerate(found.pictures):
            label = None if found.labels is None else names[found.labels[index]]
            yield PictureEntry(str(path), self._input(picture), index, label)

    def _input(self, picture: Array) -> Array:
        from engine.drawings import Drawing, fit_to_frame, render
        from engine.formats import to_input

        if not self._fit:
            return to_input(picture, self._side)
        return render(fit_to_frame(Drawing(image=picture)), self._side)

    def _fail(self, sentence: str) -> None:
        self.failed = True
        print_note(sentence)


class Classifier:
    """Classifies pictures with one model, batch by batch."""

    def __init__(self, model: Model, backend: Backend) -> None:
        """Raises ShapeError unless the network's input is one square map."""
        from engine.nn import Plan, Predictor

        self.model, self.side = model, Predictor(model, backend).side
        self.shows_percent = model.network.vote == "softmax"
        self._backend = backend
        batch = max(1, min(BATCH, BATCH_BYTES // model.network.image_bytes))
        self._plan = Plan(model.network, backend, batch)
        self._plan.load(model.parameters)

    def classify(self, entries: Iterable[PictureEntry]) -> Iterator[Classification]:
        """The prediction for each entry, in order."""
        batch: list[PictureEntry] = []
        for entry in entries:
            batch.append(entry)
            if len(batch) == self._plan.batch:
                yield from self._classify(batch)
                batch = []
        if batch:
            yield from self._classify(batch)

    def _classify(self, entries: list[PictureEntry]) -> Iterator[Classification]:
        """Classify at most a batch, padded with blank pictures."""
        import numpy as np

        from engine.nn import compute_votes, predict_class

        pictures = np.full((self._plan.batch, 1, self.side, self.side), -1, np.float32)
        for index, entry in enumerate(entries):
            pictures[index, 0] = entry.picture
        scores = self._backend.operations.to_host(self._plan.forward(pictures)).T
        classes = self.model.network.classes
        for entry, votes in zip(entries, compute_votes(self.model.network, scores), strict=False):
            shares = {name: float(vote) for name, vote in zip(classes, votes, strict=True)}
            yield Classification(entry, shares, predict_class(self.model, votes, entry.picture))


@dataclass
class Tally:
    """Counts correct predictions by label."""

    classes: tuple[str, ...]
    counts: dict[str, int] = field(default_factory=dict)
    correct: dict[str, int] = field(default_factory=dict)
    unsure: int = 0

    @property
    def labelled_count(self) -> int:
        """Number of pictures with a label."""
        return sum(self.counts.values())

    def count(self, result: Classification) -> None:
        """Count a prediction, if its picture has a label."""
        label = result.entry.label
        if label is None:
            return
        self.counts[label] = self.counts.get(label, 0) + 1
        self.correct[label] = self.correct.get(label, 0) + bool(result.is_correct)
        self.unsure += result.predicted_class == "unsure"

    def sentence(self) -> str:
        """For example: accuracy 97.0 % of 200 (X 98.0 % of 100, O 96.0 % of 100; 3 unsure)."""
        parts = [self._class_text(name) for name in (*self.classes, NEITHER) if self.counts.get(name)]
        total = sum(self.correct.values()) / self.labelled_count
        details = f"{', '.join(parts)}; {self.unsure:,} unsure"
        return f"accuracy {total:.1%} of {self.labelled_count:,} ({details})".replace("%", " %")

    def _class_text(self, name: str) -> str:
        return f"{name} {self.correct[name] / self.counts[name]:.1%} of {self.counts[name]:,}"


def print_note(sentence: str) -> None:
    """Print a sentence on a file beside the output."""
    print(f"xo: {sentence}", file=sys.stderr)


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _line(result: Classification, width: int, percent: bool) -> str:
    """A picture's line of text. Votes that are no shares, as the walk-through's, are not printed as percentages."""
    from engine.formats import quoted

    def text(vote: float) -> str:
        return f"{100 * vote:5.1f} %" if percent else f"{vote:5.2f}"

    entry = result.entry
    file = quoted(entry.file)
    name = file if entry.index is None else f"{file}[{entry.index}]"
    votes = ", ".join(f"{label} {text(vote).strip()}" for label, vote in result.votes.items())
    wrong = "" if result.is_correct in (None, True) else f"  is {entry.label}"
    return f"{name:<{width}}  {result.predicted_class:<6}  {text(max(result.votes.values()))}  ({votes}){wrong}"


def _json(result: Classification) -> str:
    """A picture's JSON object. Votes have six decimals: the rest of a float32 is noise."""
    entry = result.entry
    votes = {name: round(vote, 6) for name, vote in result.votes.items()}
    fields: dict[str, Any] = {"file": entry.file, "verdict": result.predicted_class, "votes": votes}
    if entry.index is not None:
        fields["index"] = entry.index
    if entry.label is not None:
        fields["label"] = entry.label
    return json_text(fields)
