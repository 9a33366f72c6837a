"""`xo classify`: predicts the class of pictures, one line for each; and the options that choose a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli.json_text import json_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.backends import Backend
    from engine.cli.device import ChosenDevice
    from engine.nn import BatchPredictor, Model, Network

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
    from engine.documents import load_model, shipped_model

    if args.model is not None:
        return load_model(args.model)
    return shipped_model("default" if args.preset is None else args.preset)


BATCH = 64
BATCH_BYTES = 256 << 20  # of a batch at most, so that a network with large layers gets fewer pictures at once
NEITHER = "neither"
MAX_GENERATED = 100_000


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "classify",
        help="classify pictures",
        description="Classify pictures, or generated examples. A folder stands for the images in it, at any depth.",
    )
    parser.add_argument("files", metavar="FILES", nargs="*", type=Path, help="images, npz files, folders")
    parser.add_argument(
        "--data",
        metavar="SETTINGS",
        help="instead of files: generated examples with these settings, such as xo:size=0.3..0.9,neither=0.25",
    )
    parser.add_argument("--examples", metavar="N", type=int, default=200, help="how many of them (default: 200)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the generated examples (default: 1)")
    add_model_arguments(parser)
    parser.add_argument("--fit", action="store_true", help="centre the ink and scale it to the frame first")
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")
    parser.set_defaults(wrong=parser.error)


def run(args: argparse.Namespace) -> int:
    """Classify all pictures and print a line for each; returns 1 if any file could not be read. Raises ValueError
    and OSError."""
    from engine.cli.device import ChosenDevice

    if bool(args.files) == (args.data is not None):
        args.wrong("name the pictures to classify, or give --data for generated examples: one of the two")
    classifier = Classifier(chosen_model(args), ChosenDevice(args.device))
    network = classifier.model.network
    source: PictureSource | GeneratedEntries = (
        PictureSource(args.files, network, args.fit)
        if args.data is None
        else GeneratedEntries(args.data, args.examples, args.seed, network, args.fit)
    )
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

    image: (C, H, W), -1 to 1, as the network reads it.
    index: in an npz file, or among generated examples.
    label: a class name or "neither", if the file has labels.
    """

    file: str
    image: Array
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

    def __init__(self, paths: list[Path], network: Network, fit: bool) -> None:
        from engine.data import input_kind

        self._kind, self._shape, self._classes, self._fit = (
            input_kind(network),
            network.input_shape,
            network.classes,
            fit,
        )
        self.failed = False
        self._paths = [found for path in paths for found in self._expanded(path)]
        # Longest name of a picture; those of an npz file include an index.
        self.width = max((len(str(path)) + 6 * _is_npz(path) for path in self._paths), default=0)

    def entries(self) -> Iterator[PictureEntry]:
        """Every readable picture, in order; prints a sentence to stderr for each file that is not."""
        for are_npz, paths in groupby(self._paths, _is_npz):
            if not are_npz:
                yield from self._of_files(list(paths))
                continue
            for path in paths:
                try:
                    yield from self._of_npz(path)
                except ValueError as error:
                    self._fail(str(error))

    def _expanded(self, path: Path) -> list[Path]:
        """The path itself, or the files below a folder that hold such an input, sorted."""
        from engine.formats import FileError, quoted

        if not path.is_dir():
            return [path]
        try:
            found = self._kind.find_sources(path)
        except FileError as error:
            self._fail(str(error))
            return []
        if not found:
            self._fail(f"{quoted(path)} contains no files that can be read; name another folder.")
        return found

    def _of_files(self, paths: list[Path]) -> Iterator[PictureEntry]:
        from engine.documents import command_sentence

        for path, source in zip(paths, self._kind.read_sources(paths, print_note), strict=True):
            if isinstance(source, ValueError):
                self._fail(command_sentence(path) or str(source))
            else:
                yield PictureEntry(str(path), self._input(source))

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
            yield PictureEntry(str(path), self._input(self._kind.decode(picture[None])), index, label)

    def _input(self, source: Any) -> Array:
        return self._kind.encode(self._kind.fit_to_frame(source) if self._fit else source, self._shape)

    def _fail(self, sentence: str) -> None:
        self.failed = True
        print_note(sentence)


class GeneratedEntries:
    """Generated examples of a kind of data, with their labels."""

    failed = False

    def __init__(self, settings: str, count: int, seed: int, network: Network, fit: bool) -> None:
        """Raises ValueError for settings of no kind, or of a kind whose examples are not for the network."""
        from engine.cli.train_options import generated_kind, parse_data_settings
        from engine.data import generated_kinds

        kind = generated_kind(settings)
        if kind is None:
            known = ", ".join(generated_kinds())
            raise ValueError(f"--data {settings} names no kind of generated examples: there are {known}.")
        if not 1 <= count <= MAX_GENERATED:
            raise ValueError(f"--examples must be from 1 to {MAX_GENERATED:,}, not {count:,}.")
        given = parse_data_settings(settings, kind.default_settings())
        self._settings = kind.with_input_shape(given, network.input_shape)
        if kind.classes(self._settings) != network.classes:
            raise ValueError(
                f"The classes of {kind.name} are {' and '.join(kind.classes(self._settings))}, but those of this "
                f"network {' and '.join(network.classes)}; give another model or other data."
            )
        self._kind, self._count, self._seed, self._fit = kind, count, seed, fit
        self.width = len(kind.name) + len(f"[{count}]")

    def entries(self) -> Iterator[PictureEntry]:
        """Every example; the same settings and seed give the same ones."""
        data = self._kind.generate(self._settings, self._count, self._seed)
        names = (*data.classes, NEITHER)  # label -1 indexes the last
        for index, image in enumerate(data.images):
            seen = image
            if self._fit:
                seen = self._kind.encode(self._kind.fit_to_frame(self._kind.decode(image)), image.shape)
            yield PictureEntry(self._kind.name, seen, index, names[data.labels[index]])


class Classifier:
    """Classifies pictures with one model, batch by batch."""

    def __init__(self, model: Model, device: ChosenDevice) -> None:
        """Raises ShapeError or ValueError if the network's input is none of its kind of data."""
        from engine.data import input_kind

        self._kind = input_kind(model.network)
        self._kind.check_input(model.network, model.name)
        self.model = model
        self.shows_percent = model.network.vote == "softmax"
        self._batch = max(1, min(BATCH, BATCH_BYTES // model.network.image_bytes))
        self._device = device
        self._predictor: tuple[Backend, BatchPredictor] | None = None

    def classify(self, entries: Iterable[PictureEntry]) -> Iterator[Classification]:
        """The prediction for each entry, in order."""
        batch: list[PictureEntry] = []
        for entry in entries:
            batch.append(entry)
            if len(batch) == self._batch:
                yield from self._classify(batch)
                batch = []
        if batch:
            yield from self._classify(batch)

    def _classify(self, entries: list[PictureEntry]) -> Iterator[Classification]:
        """Classify at most a batch."""
        import numpy as np

        from engine.nn import compute_votes, predict_class

        images = np.stack([entry.image for entry in entries])
        scores = self._device.compute(lambda backend: self._predictor_on(backend).scores(images))
        classes = self.model.network.classes
        for entry, votes in zip(entries, compute_votes(self.model.network, scores), strict=True):
            shares = {name: float(vote) for name, vote in zip(classes, votes, strict=True)}
            yield Classification(entry, shares, predict_class(self.model, votes, self._kind.is_blank(entry.image)))

    def _predictor_on(self, backend: Backend) -> BatchPredictor:
        from engine.nn import BatchPredictor

        if self._predictor is None or self._predictor[0] is not backend:
            self._predictor = None  # frees the memory of a device that failed
            predictor = BatchPredictor(self.model.network, backend, self._batch)
            predictor.load(self.model.parameters)
            self._predictor = backend, predictor
        return self._predictor[1]


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
